"""Mutation testing of the numeric core: does some test fail when one line computes otherwise?

    python tests/mutation/mutate.py [MODULE …] [--again]

Declared beforehand: SEED, SHARE and LEAST choose the mutants of each module.  Torch and pytest are
imported once; each mutant is a fork that loads the changed module and runs the tests that execute
the changed lines, quickest first, to the first failure.  The result is ``outcome.json``, survivors
included; ``equivalent.json`` names those that no test can kill, each with its reason.  Known
results are kept; ``--again`` keeps those of unchanged modules and runs only their survivors without
a reason again, after tests were added.  Needs ``fork`` (Linux, macOS).  Exit status 1 below BAR.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

import argparse
import ast
import gc
import hashlib
import importlib
import importlib.machinery
import importlib.util
import json
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import hypothesis
import pytest
import torch
from hits import PACKAGE, measured
from operators import Mutant, mutants

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILT = ROOT / "_build" / "mutation"
CORE = {
    "pairs": "models.pairs",
    "regularizer": "risk.regularizer",
    "leaks": "risk.leaks",
    "directions": "risk.projectors",
    "rkc": "numerics.rkc",
    "flow": "training.flow",
    "kernel": "kernels.ntk",
    "spectrum": "kernels.spectrum",
    "constructions": "risk.constructions",
    "generalization": "risk.generalization",
    "modules": "models.modules",
    "composites": "models.composites",
    "private": "models.private_copy",
    "row": "models.row_function",
    "derivatives": "models.derivatives",
    "trial": "models.route_trial",
    "maps": "models.linear_maps",
    "random": "models.random_states",
    "good": "risk.good_directions",
    "top": "risk.top_directions",
}
"""Modules by a name of their own, which is part of the key of every mutant."""
TESTS = "pairs regularizer leaks directions rkc_flow kernel spectrum constructions modules".split()
TESTS += ["composites", "module_cases", "any_module", "good_directions"]
TESTS = [f"test_{name}.py" for name in (*TESTS, "network_features", "joint", "generalization")]
TESTS += [f"test_{name}_bad_input.py" for name in ("core", "features", "kernel", "good_directions")]
SEED, SHARE, LEAST, BAR = 18, 8, 20, 0.9
"""A mutant every SHARE lines of a module, LEAST at least; BAR of those that count are killed."""
CPU_SECONDS, CPU_FACTOR, WALL_SECONDS, MEMORY = 4.0, 5.0, 400, 4 << 30
"""A test may take CPU_SECONDS + CPU_FACTOR times its usual time."""


class Runner:
    """A pytest plugin: chosen tests in order, each under its own limit; remembers what failed."""

    def __init__(self, tests: dict[str, float]):
        self.tests, self.failed = tests, None
        self.order = {name: i for i, name in enumerate(tests)}

    def pytest_configure(self, config):
        quick = dict(deadline=None, database=None, derandomize=True)
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutation", phases=phases, **quick)
        hypothesis.settings.load_profile("mutation")

    def pytest_collection_modifyitems(self, items):
        chosen = [item for item in items if item.nodeid in self.order]
        items[:] = sorted(chosen, key=lambda item: self.order[item.nodeid])

    def pytest_runtest_setup(self, item):
        limit = CPU_SECONDS + CPU_FACTOR * self.tests[item.nodeid]
        signal.setitimer(signal.ITIMER_PROF, limit)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed = self.failed or report.nodeid


class Loader(importlib.machinery.SourceFileLoader):
    """Finds the mutated module, and compiles its tree in the place of its source."""

    def __init__(self, module: str, path: Path, tree: ast.Module):
        super().__init__(f"{PACKAGE}.{CORE[module]}", str(path))
        self.tree = tree

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def get_code(self, fullname):
        return compile(self.tree, self.path, "exec")


def in_child(work) -> tuple[dict | None, int]:
    """(What ``work`` returns in a fork, None if it was killed; the signal that killed it)."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reading)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        signal.alarm(WALL_SECONDS)
        found = json.dumps(work()).encode()
        with os.fdopen(writing, "wb") as out:
            out.write(found)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        text = answer.read()
    status = os.waitpid(child, 0)[1]
    return json.loads(text) if text else None, os.WTERMSIG(status)


def pytest_main(files: list[str], plugin) -> int:
    os.chdir(ROOT)
    options = ["-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
    return pytest.main([*options, *files], plugins=[plugin])


def selected(mutant: Mutant, hits: list[dict]) -> dict[str, float]:
    """Tests that execute the changed lines, quickest first, with their usual seconds.

    For lines that only importing executes (constants, defaults): tests of the function, else of the
    module.
    """
    span, body = (set(range(first, last + 1)) for first, last in (mutant.span, mutant.body))
    for wanted in (span, body, None):
        out = {}
        for file in hits:
            common = _meets(file["shared"].get(mutant.module, ()), wanted)
            for name, (seconds, lines) in file["tests"].items():
                if common or _meets(lines.get(mutant.module, ()), wanted):
                    out[name] = seconds
        if out:
            break
    return dict(sorted(out.items(), key=lambda pair: pair[1]))


def _meets(lines, wanted: set[int] | None) -> bool:
    return bool(lines) if wanted is None else not wanted.isdisjoint(lines)


def judge(mutant: Mutant, tree: ast.Module, path: Path, tests: dict[str, float]) -> dict:
    """How the tests take the mutant, those of its own file first: killed, timeout, or survived."""

    def work() -> dict:
        if (size := Path("/proc/self/statm")).exists():
            used = int(size.read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        sys.meta_path.insert(0, Loader(mutant.module, path, tree))
        own = {name: t for name, t in tests.items() if mutant.module in name.split("::")[0]}
        for stage in (own, {name: t for name, t in tests.items() if name not in own}):
            runner = Runner(stage)
            code = stage and pytest_main(sorted({name.split("::")[0] for name in stage}), runner)
            if code:
                return {"code": int(code), "by": runner.failed}
        return {"code": 0, "by": None}

    start = time.monotonic()
    with mutant.applied():
        found, number = in_child(work)
    seconds = round(time.monotonic() - start, 1)
    if found is None:
        late = number in (signal.SIGPROF, signal.SIGALRM)
        return {"result": "timeout" if late else "killed", "by": f"signal {number}", "s": seconds}
    if found["code"] == 0:
        return {"result": "survived", "s": seconds}
    return {"result": "killed", "by": found["by"] or "import", "s": seconds}


def prepare() -> None:
    """Import everything once, and forget the package: children import it anew."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name in ("scipy.optimize", "scipy.special", "scipy.sparse.linalg", "scipy.integrate"):
        importlib.import_module(name)  # which the package itself imports late
    source = ROOT / "src"
    for path in sorted((source / PACKAGE).rglob("*.py")):
        name = ".".join(path.relative_to(source).with_suffix("").parts)
        if path.stem != "__main__":
            importlib.import_module(name.removesuffix(".__init__"))
    if Path(sys.modules[PACKAGE].__file__).parent != ROOT / "src" / PACKAGE:
        raise RuntimeError(f"expected {PACKAGE} from {ROOT / 'src'}; set PYTHONPATH=src")
    for name in list(sys.modules):
        if name.split(".")[0] == PACKAGE:
            del sys.modules[name]
    gc.collect()
    gc.freeze()


def sample(module: str, path: Path) -> tuple[ast.Module, list[Mutant], dict]:
    """The tree, the mutants that SEED draws, and how many there are to draw from.

    By the digest of seed and key: a change of one line leaves the others' mutants drawn.
    """
    source = path.read_text("utf-8")
    tree = ast.parse(source)
    every, lines = mutants(module, tree), len(source.splitlines())
    every.sort(key=lambda mutant: hashlib.sha256(f"{SEED} {mutant.key}".encode()).digest())
    drawn = every[: max(LEAST, round(lines / SHARE))]
    about = {"source": hashlib.sha256(source.encode()).hexdigest()[:16]}
    about |= {"lines": lines, "possible": len(every), "drawn": len(drawn)}
    return tree, drawn, about


def run_module(module: str, path: Path, hits: list[dict], *, again: bool) -> None:
    """Judge the mutants of one module; each result is kept at once."""
    kept = BUILT / f"{module}.json"
    tree, drawn, about = sample(module, path)
    old = json.loads(kept.read_text()) if again and kept.exists() else {}
    known = old.get("results", {}) if old.get("source") == about["source"] else {}
    named = json.loads((HERE / "equivalent.json").read_text("utf-8"))
    done = {k for k, found in known.items() if found["result"] != "survived" or k in named}
    results = {m.key: known[m.key] for m in drawn if m.key in done}
    for i, mutant in enumerate(drawn, 1):
        if mutant.key not in results:
            tests = selected(mutant, hits)
            found = judge(mutant, tree, path, tests) if tests else {"result": "survived", "s": 0}
            text = mutant.before.splitlines()[0], mutant.after.splitlines()[0]
            results[mutant.key] = found | {"tests": len(tests)} | described(mutant)
            change = f"{text[0][:50]} → {text[1][:50]}"
            print(module, f"{i}/{len(drawn)}", mutant.key, found["result"], found["s"], change)
            sys.stdout.flush()
        kept.write_text(json.dumps(about | {"results": results}, indent=1, ensure_ascii=False))


def described(mutant: Mutant) -> dict:
    statement = " ".join(ast.unparse(mutant.statement).split())
    texts = {"before": mutant.before, "after": mutant.after, "statement": statement}
    cut = {name: text if len(text) <= 200 else text[:199] + "…" for name, text in texts.items()}
    return {"function": mutant.function, "line": mutant.span[0]} | cut


def report() -> int:
    """Write ``outcome.json`` from all kept results; 0 if BAR is met and every survivor named."""
    reasons = json.loads((HERE / "equivalent.json").read_text("utf-8"))
    modules, survivors, nameless = {}, [], []
    for path in (BUILT / f"{module}.json" for module in CORE):
        if not path.exists():
            continue
        kept, module = json.loads(path.read_text("utf-8")), path.stem
        results = kept.pop("results")
        counts = Counter(found["result"] for found in results.values())
        modules[module] = kept | {name: counts[name] for name in ("killed", "timeout", "survived")}
        for key, found in results.items():
            if found["result"] == "survived":
                reason = reasons.get(key, {}).get("reason", "")
                survivors.append({"key": key, "module": module} | found | {"reason": reason})
                nameless += [] if reason else [key]
    drawn, alive = (sum(m[name] for m in modules.values()) for name in ("drawn", "survived"))
    score = 1 - alive / drawn
    out = {"drawn": drawn, "survived": alive, "killed_share": round(score, 4), "modules": modules}
    out |= {"seed": SEED, "share": SHARE, "least": LEAST, "survivors": survivors}
    (HERE / "outcome.json").write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n")
    print(f"{drawn} mutants, killed {score:.1%}; survivors {alive}, without a reason {nameless}")
    return int(score < BAR or bool(nameless))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=[*CORE])
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    prepare()
    package = ROOT / "src" / PACKAGE
    sources = {name: package / f"{place.replace('.', '/')}.py" for name, place in CORE.items()}
    files = [path for name in TESTS for path in (ROOT / "tests").glob(f"*/{name}")]
    hits = [measured(path, sources, BUILT / "hits", in_child, pytest_main) for path in files]
    for module in options.modules:
        run_module(module, sources[module], hits, again=options.again)
    return report()


if __name__ == "__main__":
    sys.exit(main())
