"""Rate limits and concurrency limits of servers, and the queues of requests before them."""
