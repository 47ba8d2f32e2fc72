"""Analysis of judgments: aggregation by prompt, statistics, checks and the verdict."""
