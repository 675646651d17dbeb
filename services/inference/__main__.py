"""``python -m services.inference``: a replica of inference, until SIGTERM."""

from doppel.lifecycle import run
from services.inference.app import serve
from services.inference.settings import InferenceSettings

if __name__ == "__main__":  # the engine's processes import this module too
    raise SystemExit(run("inference", InferenceSettings.read, serve))
