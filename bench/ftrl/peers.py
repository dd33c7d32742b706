"""Peers of bench/ftrl.R on the same rows: peers.py FILE SLOTS_LOG2

Prints `name million_rows_a_second progressive_log_loss` a line, median of 3 runs:
Vowpal Wabbit's FTRL over its text file and over its binary cache, and scikit-learn's
SGDClassifier (rows already hashed to a sparse matrix, which is not timed), which has no
progressive loss (nan).
"""
import os
import statistics
import sys
import time

path, bits = sys.argv[1], int(sys.argv[2])
rows = sum(1 for _ in open(path))


def report(name, run):
    times, loss = [], float("nan")
    for _ in range(3):
        seconds, loss = run()
        times.append(seconds)
    print(name, round(rows / statistics.median(times) / 1e6, 4), loss, flush=True)


def vw_run(extra):
    import vowpalwabbit

    start = time.perf_counter()
    vw = vowpalwabbit.Workspace(
        f"-d {path} --ftrl --ftrl_alpha 0.1 --ftrl_beta 1 --l1 1 --l2 1 -b {bits} "
        f"--loss_function logistic --quiet {extra}"
    )
    loss = vw.get_sum_loss() / vw.get_weighted_examples()
    seconds = time.perf_counter() - start
    vw.finish()
    return seconds, loss


def sgd_run():
    import numpy
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import SGDClassifier

    column, label = [], []
    for line in open(path):
        words = line.split()
        label.append(int(words[0]))
        column += [hash(word) & (2**bits - 1) for word in words[2:]]
    width = len(column) // rows
    x = csr_matrix(
        (numpy.ones(len(column)), column, numpy.arange(0, len(column) + 1, width)),
        shape=(rows, 2**bits),
    )
    model = SGDClassifier(loss="log_loss", max_iter=1, tol=None, shuffle=False)
    start = time.perf_counter()
    model.fit(x, label)
    return time.perf_counter() - start, float("nan")


report("vw-text", lambda: vw_run(""))
if os.path.exists(path + ".cache"):
    os.remove(path + ".cache")
vw_run("-c")
report("vw-cache", lambda: vw_run("-c"))
try:
    import sklearn  # noqa: F401
except ImportError:
    print("sklearn nan nan")
else:
    report("sklearn", sgd_run)
