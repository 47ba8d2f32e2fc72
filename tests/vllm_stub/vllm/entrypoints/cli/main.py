"""The command `vllm serve MODEL` of the stub."""

import sys

from vllm.entrypoints.openai import api_server

if __name__ == "__main__":
    assert sys.argv[1] == "serve"
    api_server.main()
