"""lm-eval's log-likelihoods of answers. Reads a model folder and requests (JSON, [[context, answer], ...]).

Prints the seconds that they took and what was found as JSON; loading is not counted. A peer for prompt.py, which
starts it.
"""

import argparse
import json
import logging
import time

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("requests")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--gpu", action="store_true")
    args = parser.parse_args()
    device = "cuda" if args.gpu else "cpu"
    logging.disable(logging.WARNING)
    model = HFLM(args.model, backend="causal", device=device, dtype="float32", batch_size=args.batch)
    with open(args.requests) as file:
        pairs = json.load(file)
    requests = [Instance("loglikelihood", {}, tuple(pair), number) for number, pair in enumerate(pairs)]
    model.loglikelihood(requests[:1], disable_tqdm=True)
    start = time.perf_counter()
    found = model.loglikelihood(requests, disable_tqdm=True)
    print(json.dumps({"seconds": time.perf_counter() - start, "found": found}))


if __name__ == "__main__":
    main()
