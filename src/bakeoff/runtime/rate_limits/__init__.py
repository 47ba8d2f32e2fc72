"""Rate limits and concurrency limits of servers, and queues of requests that wait for a server."""
