#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Decode and prefill of perdure beside llama2.c's run and runq, on random models of the same shape, in one run.

  bench/against_llama2c.py --build build/release --run PATH/run --runq PATH/runq [--rounds 5] [--shapes 15m,110m]

Rounds are interleaved, medians are compared, and the memory bandwidth measured beside them is printed. llama2.c reads
a prompt token by token, so its decode rate is its prefill rate as well.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile


def llama2c(program, model, tokenizer, threads, steps):
    """Tokens per second as the program itself reports them."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    done = subprocess.run([program, model, "-z", tokenizer, "-t", "0", "-n", str(steps)],
                          env=environment, capture_output=True, check=True)
    return float(re.search(rb"achieved tok/s: ([0-9.]+)", done.stderr).group(1))


def perdure(program, model, threads, prompt, steps):
    done = subprocess.run([program, "bench", "--json", "--quiet", "--repeat", "1", "--prompt", str(prompt),
                           "--generate", str(steps), "--set", f"model.path={model}",
                           "--set", "attention.strategy=full", "--set", "sampling.temperature=0", "--set", f"threads.count={threads}"],
                          capture_output=True, check=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--run", required=True)
    parser.add_argument("--runq", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shapes", default="15m,110m")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--steps", type=int, default=256)
    arguments = parser.parse_args()
    binaries = os.path.join(arguments.build, "bin")
    print("| model | type | threads | llama2.c tok/s | decode tok/s | ratio | prefill tok/s | ratio | read GB/s | bandwidth GB/s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for shape in arguments.shapes.split(","):
            files = [os.path.join(folder, f"{shape}.{end}") for end in ("v0.bin", "v2.bin", "v2mem.bin", "tokenizer.bin")]
            subprocess.run([os.path.join(binaries, "bench_random_model"), shape, *files], check=True)
            for kind, program, model in (("f32", arguments.run, files[0]), ("q80", arguments.runq, files[1])):
                for threads in map(int, arguments.threads.split(",")):
                    theirs, decode, prefill, bandwidth, read = [], [], [], [], 0
                    for _ in range(arguments.rounds):
                        theirs.append(llama2c(program, model, files[3], threads, arguments.steps))
                        ours = perdure(os.path.join(binaries, "perdure"), model, threads, 256, arguments.steps)
                        decode.append(ours["decode_tokens_per_second"]["median"])
                        prefill.append(ours["prefill_tokens_per_second"]["median"])
                        bandwidth.append(ours["bandwidth_bytes_per_second"] / 1e9)
                        read = ours["weight_bytes_per_token"]
                    t, d, p = map(statistics.median, (theirs, decode, prefill))
                    print(f"| {shape} | {kind} | {threads} | {t:.0f} | {d:.0f} | {d / t:.2f} | {p:.0f} | {p / t:.2f} "
                          f"| {d * read / 1e9:.1f} | {statistics.median(bandwidth):.1f} |", flush=True)


if __name__ == "__main__":
    main()
