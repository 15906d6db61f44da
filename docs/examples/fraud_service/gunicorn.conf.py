"""The model is loaded once, before the workers are forked; each worker follows the alias by itself."""

import os

bind = os.environ.get("FRAUD_BIND", "127.0.0.1:8000")
workers = 2
preload_app = True
worker_class = "uvicorn.workers.UvicornWorker"
