# Every job of the continuous integration is one of these targets. `make help` lists them.
.DEFAULT_GOAL := all
SHELL := /bin/bash
PYTHON ?= python3
ENGINE ?= flux
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m
READY := $(VENV)/.ready
# All others are built by the target that needs them: servers take minutes each.
VALIDATE_TOOLS := obscheck kustomize amtool kubeconform
TEST_TOOLS := actionlint alloy amtool crane helm kubeconform kustomize obscheck promtool sops
# What `make render` asks; `make` leaves out what is not built yet, and says so.
RENDER_TOOLS := configcheck loki node_exporter prometheus-operator
PROVE_TOOLS := alertmanager alloy blocks history mcp-grafana notifications pint prometheus promtool sloth thanos versitygw
E2E_TOOLS := alertmanager argocd crane etcd helm helm-controller kube-apiserver kube-controller-manager kube-scheduler \
	kube-state-metrics kubectl kustomize kustomize-controller kwok loki prometheus \
	prometheus-operator redis source-controller thanos versitygw
# Bytecode is kept, else each start compiles every module again; but not beside the modules, where it
# would keep folders that git has removed. Who told Python to write none meant those.
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/bytecode
export PYTHONDONTWRITEBYTECODE :=

.PHONY: all
all: ## Build and check every manifest, and print what a cluster will get
	@$(MAKE) --no-print-directory -j2 programs $(READY)
	@$(MAKE) --no-print-directory dashboards validate
	@$(RUN) scripts.checks.render --allow-missing

# Programs are built while Python's packages come.
.PHONY: programs
programs: $(BIN)/python
	@$(RUN) scripts.tools $(VALIDATE_TOOLS) > /dev/null

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

# pip verifies each package against the hash in the lock file. Only wheels: what a source archive is
# built with is in no lock file.
$(READY): requirements.txt | $(BIN)/python
	@echo "· installing Python packages into $(VENV)" >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --only-binary=:all: --require-hashes -r requirements.txt
	@touch $@

$(BIN)/python:
	@$(PYTHON) -m venv $(VENV)

.PHONY: dashboards
dashboards: $(READY) ## Generate the dashboards' JSON from dashboards_py
	@$(RUN) dashboards_py

.PHONY: rules
rules: $(READY) ## Generate the rules of base/config/slos, base/config/alerts and each overlay's budget, and runbooks.json
	@$(RUN) scripts.rules

.PHONY: validate
validate: $(READY) ## Check every manifest of every cluster, both engines, without charts (seconds)
	@$(RUN) scripts.checks.validate

.PHONY: render
render: $(READY) ## Render every release of every cluster into build/ and print the budget
	@$(RUN) scripts.checks.render

.PHONY: plan
plan: $(READY) ## Say what more nodes, clusters and months take, and which step is due: make plan PLAN="--nodes=3 --months=12"
	@$(RUN) scripts.model.plan $(PLAN)

.PHONY: diff
diff: $(READY) ## Say what the working tree changes in each cluster: make diff BASE=main DIFF=--output=build/diff
	@$(RUN) scripts.diff $(if $(BASE),--base=$(BASE)) $(DIFF)

.PHONY: diff-mcp
diff-mcp: $(READY) ## Let an assistant ask what make diff has written, by tools that only read: make diff-mcp REPORT=build/diff
	@$(RUN) scripts.diff.mcp $(REPORT)

.PHONY: comment
comment: $(READY) ## Write the report of make diff into the merge or pull request that this job is of
	@$(RUN) scripts.diff.comment $(COMMENT)

.PHONY: pictures
pictures: $(READY) ## Draw the dashboards that changed, before and after, for make diff: make pictures BASE=main
	@$(RUN) scripts.lab.preview.changed $(if $(BASE),--base=$(BASE))

.PHONY: discover
discover: $(READY) ## Propose application.yaml by the cluster that kubectl reaches: make discover DISCOVER="--from=../app/k8s"
	@$(RUN) scripts.live.discover $(DISCOVER)

.PHONY: preflight
preflight: $(READY) ## Say whether the cluster that kubectl reaches is ready for an install; it only reads
	@$(RUN) scripts.live.preflight $(PREFLIGHT)

.PHONY: secrets
secrets: $(READY) ## Make the Secrets that the cluster needs and lacks, asking first: make secrets SECRETS=--cluster=local
	@$(RUN) scripts.live.secrets $(SECRETS)

.PHONY: triage
triage: $(READY) ## Say what fires in the cluster that kubectl reaches, and ask its runbooks' queries; it only reads: make triage ALERT=PodNotReady
	@$(RUN) scripts.live.triage $(ALERT) $(TRIAGE)

.PHONY: agent-kubeconfig
agent-kubeconfig: $(READY) ## Write a kubeconfig that only reads and ends after an hour: make agent-kubeconfig AGENT=--lifetime=30m
	@$(RUN) scripts.live.agent.kubeconfig $(AGENT)

.PHONY: agent-mcp
agent-mcp: $(READY) ## Let an assistant query metrics and logs, an hour long, and change nothing: make agent-mcp MCP=--http
	@$(RUN) scripts.live.agent.mcp $(MCP)

.PHONY: verify
verify: $(READY) ## Measure on a real cluster how soon the home dashboard is there; deletes Grafana's pod, asking first
	@$(RUN) scripts.live.verify $(VERIFY)

.PHONY: test
test: $(READY) ## Run all tests
	@$(RUN) scripts.tools $(TEST_TOOLS) $(RENDER_TOOLS) > /dev/null # Here, as pytest would hide how far builds are.
	@$(RUN) pytest -q

.PHONY: adoption
adoption: $(READY) ## Edit copies of this tree as owners do, and see that every promise holds after each
	@$(RUN) scripts.tools $(TEST_TOOLS) $(RENDER_TOOLS) sloth > /dev/null
	@$(RUN) pytest -q -m adoption $(ADOPTION)

.PHONY: prove
prove: $(READY) ## Run every query of every dashboard and runbook, and every alert, on real servers with a simulated day
	@$(RUN) scripts.lab.proof $(PROVE)
	@$(RUN) scripts.lab.alerting $(PROVE)
	@$(RUN) scripts.tools $(PROVE_TOOLS) > /dev/null
	@$(RUN) pytest -q -m prove

.PHONY: scale
scale: $(READY) ## Run what is for more nodes and clusters: Loki on a bucket and in three, Thanos, the way there and back
	@$(RUN) scripts.lab.scale.logs
	@$(RUN) scripts.lab.scale.metrics

.PHONY: preview
preview: prove ## Draw the dashboards with what make prove found: pages and pictures in build/preview
	@$(RUN) scripts.lab.preview

.PHONY: gallery
gallery: prove ## Draw the README's pictures of the dashboards anew
	@$(RUN) scripts.lab.preview.gallery

.PHONY: e2e
e2e: $(READY) ## Sync each cluster with real Flux and real Argo CD, break it, and see it mended
	@$(RUN) scripts.tools $(E2E_TOOLS) > /dev/null
	@$(RUN) scripts.cluster.e2e $(E2E)
	@$(RUN) pytest -q -n0 -m e2e

.PHONY: rehearse
rehearse: $(READY) ## Sync the revision BASE for real, then HEAD, and say what breaks: make rehearse BASE=main
	@$(RUN) scripts.cluster.rehearsal $(BASE)

.PHONY: kind
kind: $(READY) ## Install this commit on a kind cluster with ENGINE=flux or argocd, picture and measure the home page
	@$(RUN) scripts.tools kustomize > /dev/null
	@$(RUN) scripts.live.kind $(ENGINE) $(KIND)

.PHONY: capture
capture: $(READY) ## Run the real exporters and write their metrics' names into scripts/model/catalogue
	@$(RUN) scripts.cluster.capture

.PHONY: bench
bench: $(READY) ## Measure the targets and what the dashboards cost, beside other tools and dashboards: make bench BENCH=diff
	@$(RUN) scripts.bench --tree=tests/fixtures/repository --changes=tests/programs/diff/changes.yaml \
		--bad-changes=tests/programs/bad_changes $(BENCH)

.PHONY: lint
lint: $(READY) ## Lint Python, YAML, shell and workflows
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/yamllint --strict .
	@git ls-files -z '*.sh' .ci/run | xargs -0 -r $(BIN)/shellcheck
	@"$$($(RUN) scripts.tools actionlint)" -shellcheck $(BIN)/shellcheck

.PHONY: lock
lock: $(READY) ## Resolve pyproject.toml into requirements.txt again, and what speaks MCP into a file of its own
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --group=lint pyproject.toml --output-file=requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes scripts/tools/requirements-mcp.in --output-file=scripts/tools/requirements-mcp.txt

.PHONY: clean
clean: ## Remove what the targets made here; the per-user cache stays
	@rm -rf build $(VENV)
