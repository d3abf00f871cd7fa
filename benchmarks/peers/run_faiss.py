"""FAISS's flat and HNSW indexes on a file of vectors: queries one at a time. VECTORS and QUERIES
(.npy, float32, of length 1) in; milliseconds, hits and seconds to build out."""

from __future__ import annotations

import json
import sys
import time
from statistics import median

import faiss
import numpy as np

LINKS, BUILD, SEARCH = 32, 80, 64


def main(vectors: str, queries: str) -> None:
    rows, asked = np.load(vectors), np.load(queries)
    flat = faiss.IndexFlatIP(rows.shape[1])
    hnsw = faiss.IndexHNSWFlat(rows.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    hnsw.hnsw.efConstruction, hnsw.hnsw.efSearch = BUILD, SEARCH
    told = {}
    for name, index in (("flat", flat), ("hnsw", hnsw)):
        started = time.perf_counter()
        index.add(rows)
        built = time.perf_counter() - started
        index.search(asked[:1], 10)
        times, hits = [], []
        for query in asked:
            started = time.perf_counter()
            _, found = index.search(query[None], 10)
            times.append(time.perf_counter() - started)
            hits.append(found[0].tolist())
        told[name] = {"ms": 1000 * median(times), "built": built, "hits": hits}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
