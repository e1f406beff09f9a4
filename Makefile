GO       ?= go
BIN      := bin/ami-nats-bridge
FUZZTIME ?= 10s
BENCHSECONDS ?= 5
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
# Linters stay out of go.mod: they are no dependency of the bridge.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help
help: ## Show the targets.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the static binary into bin/.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.release=$(VERSION)' -o $(BIN) ./cmd/ami-nats-bridge

.PHONY: man
man: build ## Write the man pages into bin/man, from what --help says.
	mkdir -p bin/man
	./$(BIN) man > bin/man/ami-nats-bridge.1
	for c in $$(./$(BIN) __complete --line 'ami-nats-bridge man ' | cut -f1); do \
		./$(BIN) man $$c > bin/man/ami-nats-bridge-$$c.1; \
	done

.PHONY: demo
demo: build ## Two simulated Asterisks, a NATS server and the bridge; Ctrl-C ends it.
	./$(BIN) demo $(DEMOFLAGS)

# Four programs at once, for they wait more than they work.
.PHONY: test
test: ## Run the tests but the long ones. Needs no root, no network and no other service.
	$(GO) test -short -p 4 -parallel 8 -timeout 20m ./...
	@echo '!!! NOT RUN, for they take long; make race runs them:'
	@grep -rhE --include='*_test.go' '^\s*longtest\.Mark\(' cmd integration | sed 's/.*longtest.Mark(t, "/    /; s/")$$//' | sort | uniq -c

# The detector has each program sleep for a second at its end: sixty test programs, and each
# process that they start. What still runs then is what their tests have left behind.
RACE := GORACE=atexit_sleep_ms=100

.PHONY: race
race: ## Run all tests, the long ones too, with the race detector and in random order.
	$(RACE) $(GO) test -race -shuffle=on -parallel 8 -timeout 20m ./...

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME.
	@set -e; for dir in $$($(GO) list -f '{{if .TestGoFiles}}{{.Dir}}{{end}}' ./...); do \
		for target in $$(grep -ho '^func Fuzz[A-Za-z]*' $$dir/*_test.go | cut -d' ' -f2); do \
			echo "fuzz $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 200x $$dir; \
		done; \
	done

.PHONY: soak
soak: ## Five minutes under load and faults: memory flat, nothing lost untold. Then simulations of two bridges anew.
	$(GO) test -count=1 -timeout 15m -run '^TestSoak$$' -v ./integration/load -args -soak=5m
	$(GO) test -count=1 -timeout 15m -run '^TestSim' ./bridge/standby -args -sims=500

.PHONY: faults
faults: ## Have NATS and the bridge fail in every way under load; write the table of docs/delivery.md.
	$(GO) test -count=1 -timeout 40m -v ./integration/faults -args -full -update

FAULTS ?= all
.PHONY: faults-ha
faults-ha: ## Have one of two, and of ten, bridges fail in every way under load, and write the table of docs/outages.md; FAULTS=some, or ids, for a quick look.
	$(GO) test -count=1 -parallel 4 -timeout 60m -v -run '^TestTwo_' ./integration/ha -args -faults=$(FAULTS) $(if $(filter all,$(FAULTS)),-update)
	$(GO) test -count=1 -timeout 30m -v -run '^TestRandom_' ./integration/takeover -args -rounds=$(if $(filter all,$(FAULTS)),100,3)
	$(GO) test -count=1 -timeout 40m -v ./integration/many -args -faults=$(FAULTS)

.PHONY: leaf
leaf: ## Kill the hub that a leaf forwards to: three minutes.
	$(GO) test -count=1 -timeout 15m -run '^TestLeaf$$' -v ./integration/leaf -args -leaf

.PHONY: bench
bench: ## Print the benchmarks' ratios; BENCHSECONDS=1 for a quick look.
	cd benchmarks && $(GO) test -run Ratio -v ./...
	$(GO) test -v -run '^$$' -bench 'Table|Replay|Latency|Quiet|Fleet|Ingest|Burst|Pages|Actions|Sizing' -benchtime 1x -timeout 20m ./integration/load -args -seconds=$(BENCHSECONDS)
	$(GO) test -run '^$$' -bench Share -benchtime 20x ./bridge/ha
	$(GO) test -run '^$$' -bench 'Writer|List' -benchtime 1x -timeout 20m ./bridge/state ./integration/state

# The browser that the page is tested in, a command or a path: Debian's by default.
BROWSER ?= chromium

.PHONY: browser
browser: ## Run the page's tests in chromium (apt-get install chromium); the pictures go to bin/browser.
	mkdir -p bin/browser
	@command -v $(BROWSER) > /dev/null || { echo '!!! the page is NOT TESTED: there is no $(BROWSER)'; exit 1; }
	BRIDGE_TEST_BROWSER=$(BROWSER) $(GO) test -count=1 -timeout 5m -run '^TestBrowser_' -artifacts -outputdir bin/browser ./bridge/web

.PHONY: lint
lint: ## Check format, vet, fixes, tidiness and staticcheck.
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w'; exit 1; }
	$(GO) vet ./...
	$(GO) fix -diff ./...
	$(GO) mod tidy -diff
	cd benchmarks && $(GO) vet ./... && $(GO) mod tidy -diff
	$(GO) run $(STATICCHECK) ./...

# Where what the tests below need is installed.
CACHE        := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ami-nats-bridge
ASTERISK_DIR ?= $(CACHE)
EXAMPLES_DIR ?= $(CACHE)/examples
# Tools of callers stay out of go.mod too.
NATSCLI := github.com/nats-io/natscli/nats@v0.5.1
NATSPY  := nats-py==2.16.0

.PHONY: examples
examples: ## Run the examples of docs/actions.md and docs/state.md with nats, node and Python.
	mkdir -p $(EXAMPLES_DIR)
	cp -r docs/examples/javascript $(EXAMPLES_DIR)
	GOBIN=$(EXAMPLES_DIR) $(GO) install $(NATSCLI)
	@npm install --silent --no-audit --no-fund --prefix $(EXAMPLES_DIR)/javascript || \
		echo '!!! the JavaScript example is NOT RUN: npm cannot install its modules'
	@python3 -m pip install --quiet --retries 0 --upgrade --target $(EXAMPLES_DIR)/python $(NATSPY) || \
		echo '!!! the Python example is NOT RUN: pip cannot install $(NATSPY)'
	BRIDGE_TEST_EXAMPLES=$(EXAMPLES_DIR) $(GO) test -count=1 -v -run '^TestExamples_' ./integration/docs

.PHONY: asterisk
asterisk: ## Install real Asterisk 22, 16 and 22.11 for make integration (root, Debian).
	integration/asterisk/install.sh 22 $(ASTERISK_DIR)/asterisk-22
	integration/asterisk/install.sh 16 $(ASTERISK_DIR)/asterisk-16
	@integration/asterisk/install.sh 22.11 $(ASTERISK_DIR)/asterisk-22.11 || \
		echo '!!! the state, and two bridges, are NOT TESTED at Asterisk 22.11: it cannot be installed'

REAL := BRIDGE_TEST_ASTERISK_REQUIRED=1 BRIDGE_TEST_ASTERISK_22_11=$(ASTERISK_DIR)/asterisk-22.11 \
	BRIDGE_TEST_ASTERISK_22=$(ASTERISK_DIR)/asterisk-22 BRIDGE_TEST_ASTERISK_16=$(ASTERISK_DIR)/asterisk-16

.PHONY: integration
integration: ## Run what needs the real Asterisks: tests, and the Actions' benchmark.
	$(REAL) $(GO) test -count=1 -p 2 -parallel 6 -timeout 15m -run 'TestReal' ./integration/state ./integration/...
	$(REAL) $(GO) test -count=1 -timeout 15m ./integration/realasterisk
	$(REAL) $(GO) test -run '^$$' -bench Actions -benchtime 1x -timeout 20m ./integration/load
