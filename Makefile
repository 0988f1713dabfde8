# Targets for people; `make` alone lists them. Needs Go and make, and for the
# race detector of `make test` a C compiler.

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := .tools/golangci-lint-$(GOLANGCI_VERSION)
GOVULNCHECK_VERSION := v1.9.0
GOVULNCHECK      := .tools/govulncheck-$(GOVULNCHECK_VERSION)
BIN              ?= bin/loadgen
FUZZTIME         ?= 60s
KILLS            ?= 2000
SOAK             ?= 10m
BENCHCOUNT       ?= 10
# With those that hold what the library's users need not fetch.
MODULES          := $(sort $(dir $(shell find . -name node_modules -prune -o -name .tools -prune -o -name go.mod -print)))
PLATFORMS        := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: help run test lint vuln fmt bench bench-peers size clients agents manifests e2e dashboard screenshots fuzz kill soak build cross clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## start the server with the demo: a small shop and a job that drives it
	@$(abspath $(BIN)) -demo

test: ## run all tests with the race detector, in random order
	go test -race -shuffle=on ./...

lint: $(GOLANGCI) ## check style and known mistakes
	@set -e; for module in $(MODULES); do \
		echo "== $$module"; \
		(cd $$module && $(abspath $(GOLANGCI)) run ./...); \
	done

vuln: $(GOVULNCHECK) ## look for known vulnerabilities in what the code uses
	GOVULNCHECK=$(abspath $(GOVULNCHECK)) .ci/vulncheck $(MODULES)

fmt: $(GOLANGCI) ## format the code
	@set -e; for module in $(MODULES); do (cd $$module && $(abspath $(GOLANGCI)) fmt ./...); done

bench: ## run the micro-benchmarks, for benchstat (BENCHCOUNT=10)
	go test -run '^$$' -bench . -benchmem -count $(BENCHCOUNT) ./...

bench-peers: ## compare what a request costs with other load tools, which it installs
	bench/install.sh
	go run ./bench/peers

size: ## measure memory and reaction times of jobs with 10,000 virtual users
	go test -count 1 -v -run '^TestSize' .

clients: ## test with real Socket.IO clients, a browser, a StatsD server and a Locust master; needs Node.js, Python 3, chromium
	socketio/testclients/setup.sh
	npm ci --prefix statsd/testserver --no-audit --no-fund
	go test -race -tags clients ./socketio/testclients
	go test -race -tags clients -run TestStatsDServer ./statsd
	locust/testclients/setup.sh
	go test -race -tags clients ./locust/testclients

agents: ## prove package apm against real APM agents, which it fetches
	cd apm/testagents && go vet ./... && go test -race ./...

manifests: ## hold the Kubernetes manifests against the API types, which it fetches
	cd deploy/kubernetes && go vet ./... && go test ./...

dashboard: dashboard/web/node_modules ## check and build the web page; its bundle is committed; needs Node.js
	cd dashboard/web && npm run build && npm test

e2e: build dashboard/web/node_modules ## drive the web page in a real browser, and measure it; needs Node.js, chromium
	cd dashboard/web && LOADGEN_BIN=$(abspath $(BIN)) npm run e2e

screenshots: build dashboard/web/node_modules ## take the pictures of the web page in docs/ anew
	cd dashboard/web && LOADGEN_BIN=$(abspath $(BIN)) npm run screenshots

dashboard/web/node_modules: dashboard/web/package-lock.json
	cd dashboard/web && npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

fuzz: ## run each fuzz target for a while, three at a time (FUZZTIME=60s)
	@set -e; for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
		done; \
	done | xargs -P 3 -n 2 .ci/fuzz $(FUZZTIME)

soak: ## run fifty jobs under faults, and look for what is left or lost (SOAK=10m)
	LOADGEN_SOAK=$(SOAK) go test -race -count 1 -v -timeout 48h -run '^TestSoak$$' .

kill: ## kill a server over and over, and look for what it lost (KILLS=2000)
	LOADGEN_KILLS=$(KILLS) go test -count 1 -v -timeout 24h -run '^TestKilledServerLosesNothing$$' ./internal/cli

build: ## build the program for this machine
	go build -o $(BIN) ./cmd/loadgen

cross: ## build everything for every supported platform, without cgo
	@set -e; for platform in $(PLATFORMS); do \
		echo "== $$platform"; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} go build ./...; \
	done

clean: ## remove what the other targets made
	rm -rf bin .tools dashboard/web/node_modules

# The version is part of the name, so that another pin is another file.
$(GOLANGCI):
	@mkdir -p .tools
	GOBIN=$(abspath .tools) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv .tools/golangci-lint$(shell go env GOEXE) $@

$(GOVULNCHECK):
	@mkdir -p .tools
	GOBIN=$(abspath .tools) go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	@mv .tools/govulncheck$(shell go env GOEXE) $@
