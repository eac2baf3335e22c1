# logscope. `make` alone lists the targets.

GO      ?= go
CC      ?= cc
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOL    := $(GO) tool -modfile=test/tools/go.mod
SRC     := $(shell find . -name '*.go' -not -path './test/*' -o -name '*.[ch]' -path './plugin/*' -o -name default.pgo) go.mod go.sum
FUZZTIME ?= 20s
RUNS     ?= 5

# Nested modules: what they need must not weigh on the plugin's own go.mod.
NESTED := conf/grafana/gen test/wire test/bench test/view
# One that needs a Loki as well.
WITH_LOKI := test/grafana
# One that runs what make build makes, and what is on PATH besides: nothing of it is seen by Go's cache of test results.
WITH_BUILD := test/deploy

.DEFAULT_GOAL := help
.PHONY: help build demo test unit race fuzz bench pgo bench-drain bench-ship bench-serve lint vuln gen eval eval-ablation e2e grafana deploy faults check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: bin/out_logscope.so bin/logscope build/flbhost ## the plugin, the command and the test host

bin/out_logscope.so: $(SRC)
	CGO_ENABLED=1 $(GO) build -trimpath -buildmode=c-shared -ldflags '$(LDFLAGS)' -o $@ ./plugin
	@rm -f bin/out_logscope.h

bin/logscope: $(SRC)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/logscope

build/flbhost: $(wildcard test/host/*.c test/host/*.h)
	@mkdir -p build
	$(CC) -std=gnu11 -O1 -g -Wall -Wextra -Werror -o $@ $(filter %.c,$^) -ldl -lpthread

demo: build ## run the plugin on real log lines into a real Loki and show the anomalies found
	$(GO) run ./test/demo

test: build ## all tests: units, nested modules, end to end with a real Loki, faults
	$(GO) test -pgo=off $$($(GO) list ./... | grep -Ev '/test/(e2e|serve|faults)$$')
	@for m in $(NESTED); do echo "$(GO) test -C $$m ./..."; $(GO) test -C $$m ./... || exit 1; done
	$(MAKE) deploy
	$(GO) run ./test/lokitest/lokibuild
	$(GO) test -C $(WITH_LOKI) -count=1 -timeout 20m ./...
	$(GO) test -count=1 -timeout 40m -p 1 -v ./test/e2e
	GOFLAGS=-pgo=off $(GO) test -count=1 -timeout 40m -p 1 -v ./test/serve
	GOFLAGS=-pgo=off $(GO) test -count=1 -timeout 40m -v ./test/faults

unit: ## only the quick tests, without Loki, Fluent Bit or the C host
	$(GO) test -pgo=off -short ./...

race: ## the tests of everything that runs concurrently, under the race detector
	$(GO) test -pgo=off -race -short ./loki/... ./plugin/... ./conf/... ./engine/...

fuzz: ## every fuzz target for FUZZTIME (default 20s)
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "fuzz $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; done

bench: ## benchmarks of the hot paths: ns, bytes and allocations per record
	$(GO) test -pgo plugin/default.pgo -run '^$$' -bench . -benchmem ./engine/... ./loki/... ./plugin/...

pgo: ## profile of the hot paths, by which the compiler optimises the plugin and the command: some minutes on an idle machine
	@mkdir -p build/pgo
	$(GO) test -run '^$$' -bench 'Flush' -benchtime 5s -cpuprofile build/pgo/flush.prof -o build/pgo/flush.test ./plugin/pipeline
	$(GO) test -run '^$$' -bench 'Score' -benchtime 5s -cpuprofile build/pgo/score.prof -o build/pgo/score.test ./engine
	$(GO) test -run '^$$' -bench 'Parse' -benchtime 5s -cpuprofile build/pgo/parse.prof -o build/pgo/parse.test ./engine/drain
	$(GO) tool pprof -proto build/pgo/flush.prof build/pgo/score.prof build/pgo/parse.prof > plugin/default.pgo
	cp plugin/default.pgo cmd/logscope/default.pgo

bench-drain: ## the engine beside Loki's pkg/pattern/drain on the same lines: make bench-drain EVAL=path/to/eval RUNS=5
	$(GO) run -C test/bench . -eval "$(abspath $(EVAL))" -rounds $(RUNS)

bench-ship: build ## what shipping a million lines costs, beside grafana-loki and Fluent Bit's own loki; RUNS=5
	$(GO) run ./test/ship -runs $(RUNS)

bench-serve: bin/logscope ## what goes through logscope serve, what it adds to an answer's time, its memory
	$(GO) run ./test/servebench

lint: ## gofmt, vet, staticcheck, tidy modules
	@out=$$(find . -name '*.go' | xargs gofmt -l); test -z "$$out" || { echo "not gofmt'ed: $$out"; exit 1; }
	GOFLAGS=-pgo=off $(GO) vet ./...
	GOFLAGS=-pgo=off $(TOOL) staticcheck ./...
	$(GO) mod tidy -diff
	@for m in $(NESTED) $(WITH_LOKI) $(WITH_BUILD) test/tools; do echo "$(GO) -C $$m mod tidy -diff"; $(GO) -C $$m mod tidy -diff || exit 1; done

vuln: ## known vulnerabilities in what is called; needs the database at vuln.go.dev
	@if curl -sfm 10 -o /dev/null https://vuln.go.dev/index/modules.json.gz; then $(TOOL) govulncheck ./...; \
	else echo "vuln: skipped, vuln.go.dev cannot be reached from here"; fi

gen: ## what is made from tables and code: reference page, sample configurations, dashboards, alert rules
	$(GO) generate ./...
	$(GO) run -C conf/grafana/gen . ../..

eval: bin/logscope ## accuracy tables, where the evaluation kit is at hand: make eval EVAL=path/to/eval
	@test -n "$(EVAL)" -a -f "$(EVAL)/run_all.py" || { echo "make eval EVAL=DIR: DIR must hold run_all.py; docs/accuracy.md says where the data come from"; exit 1; }
	python3 $(EVAL)/check_contract.py --logscope bin/logscope
	python3 $(EVAL)/run_all.py --logscope bin/logscope
	python3 $(EVAL)/sessions.py hdfs --repeat 3 --logscope bin/logscope
	python3 $(EVAL)/sessions.py openstack --prevalence 0.03 --repeat 3 --logscope bin/logscope

eval-ablation: bin/logscope ## what each detector contributes, one seed: make eval-ablation EVAL=path/to/eval (half an hour)
	@test -n "$(EVAL)" || { echo "make eval-ablation EVAL=DIR: DIR must hold injected.py; docs/accuracy.md says where the data come from"; exit 1; }
	$(GO) run ./test/ablation -eval "$(abspath $(EVAL))" -logscope bin/logscope

e2e: build ## the end-to-end tests alone
	$(GO) run ./test/lokitest/lokibuild
	$(GO) test -count=1 -timeout 40m -p 1 -v ./test/e2e
	GOFLAGS=-pgo=off $(GO) test -count=1 -timeout 40m -p 1 -v ./test/serve

grafana: ## every query of the dashboards, alert rules and docs, on a real Loki and Prometheus' engine
	$(GO) test -C conf/grafana/gen ./...
	$(GO) run ./test/lokitest/lokibuild
	$(GO) test -C $(WITH_LOKI) -count=1 -timeout 20m ./...

deploy: build ## image, compose, Kubernetes, docs: built, checked, run; CHART=DIR renders fluent/fluent-bit, too
	LOGSCOPE_PLUGIN=$(CURDIR)/bin/out_logscope.so LOGSCOPE_COMMAND=$(CURDIR)/bin/logscope CHART=$(CHART) \
		$(GO) test -C $(WITH_BUILD) -count=1 -timeout 20m $(if $(CHART),-tags chart) ./...

faults: ## what may break around the plugin, broken: Loki, network, disk, process; also under sanitizers
	$(GO) test -count=1 -timeout 20m -v ./test/faults

check: lint vuln test race ## what CI runs

clean: ## remove what was built
	rm -rf bin build
