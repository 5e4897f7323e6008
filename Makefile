# The few commands that people type; `make` alone lists them.  Written for GNU make 3.81 and later.
PY := .venv/bin/python
STAMP := .venv/.set-up
GROUND := _build/.ground

# A clone that was moved: its environment points to where it was, so it is made anew.
MOVED := $(shell [ ! -f $(STAMP) ] || [ "$$(cat $(STAMP))" = "$$(pwd -P)" ] || { rm -f $(STAMP) && touch .venv.unfinished; })

.PHONY: help book site live pdf site-zip test status interop gpu notebooks zips lint wheel lab constraints lock speed clean distclean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "PYTHON=python3.12 chooses the interpreter of the set-up; PORT=8000 the port of make book."

book: site ## set up, build the site and serve it on 127.0.0.1 (PORT= chooses the port)
	@exec $(PY) scripts/serve.py --port "$(PORT)"

site: $(STAMP) $(GROUND) ## set up and build the site into _build/html, warnings as errors
	@scripts/build_site.sh

live: $(STAMP) ## fetch the Python that runs in the pages and JupyterLite, once (120 MB, 51 kept)
	@$(PY) scripts/pyodide.py

pdf: site ## print the whole book as one PDF, which the front page then offers (needs Chromium)
	@$(PY) scripts/pdf.py

site-zip: site ## pack the site for reading from a folder, without a server; the front page then offers it
	@$(PY) scripts/site_zip.py

test: $(STAMP) ## set up and run every test: package, notebooks, book, browser
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --junitxml=_build/tests.xml

status: $(STAMP) ## put the last run of make test on record, for the page on how the book is checked
	@$(PY) scripts/status.py

interop: $(STAMP) ## compare with Keras, flax and ONNX Runtime, run the kernels by Triton (installs them)
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-interop.txt
	@RNNLIT_INTEROP=1 $(PY) -m pytest tests/tools/test_interop.py tests/nn/gpu/test_lstm_triton.py tests/nn/gpu/test_dispatch.py

gpu: $(STAMP) ## test and measure the scans on this machine's GPU, in 8 minutes at most
	@$(PY) scripts/gpu.py

notebooks: $(STAMP) ## run every notebook from top to bottom and store its outputs (NB=book/lstm.ipynb: one)
	@$(PY) scripts/run_notebooks.py $(NB)

speed: $(STAMP) ## measure the layers on this machine for the page on speed (about half an hour)
	@$(PY) benchmarks/nn_variants.py
	@$(PY) benchmarks/loops.py
	@$(PY) benchmarks/lengths.py
	@$(PY) benchmarks/speed_parts.py

zips: $(STAMP) ## write the notebooks as they read outside the site into two zips, in _build/html/downloads
	@$(PY) scripts/plain_notebooks.py

lint: $(STAMP) ## ruff on code and notebooks, its format on code, mypy on the package
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

lab: $(STAMP) ## open the notebooks in JupyterLab (installs it)
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-lab.txt
	@exec $(PY) -m jupyterlab book

wheel: $(STAMP) ## build a wheel and an sdist of rnnlit into dist/
	@$(PY) -m build --no-isolation --outdir dist .
	@rm -rf build

lock: $(STAMP) ## write requirements.lock: the hashes of all pins' files (installs uv; after make constraints)
	@$(PY) -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@$(PY) scripts/constraints.py --lock > .lock.tmp
	@mv .lock.tmp requirements.lock

constraints: $(STAMP) ## write constraints.txt from what is installed (after a change of requirements.txt)
	@$(PY) scripts/constraints.py > .constraints.tmp
	@mv .constraints.tmp constraints.txt

clean: ## remove what was built: site, wheels, caches
	@rm -rf _build book/api build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## remove the environment as well
	@rm -rf .venv .venv.unfinished .pyodide

$(STAMP): requirements.txt constraints.txt pyproject.toml
	@scripts/setup.sh

# Sphinx does not notice these: when one of them changes, the next build starts from nothing.
$(GROUND): _config.yml _toc.yml requirements.txt $(wildcard book/_ext/* book/_templates/* book/_static/* book/_static/live/*)
	@rm -rf _build/html _build/.doctrees
	@mkdir -p _build
	@touch $@
