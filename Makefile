# make test    every test: units, then real brokers in containers; needs Go and, for the second part, a container engine
# make lint    gofmt, go vet (with the oldest supported Go too), go fix, staticcheck
# make fuzz    every fuzz target for FUZZTIME
# make chaos   conformance and the long scenarios against real brokers; VERSIONS="4.3 4.0 3.10"
# make soak    random scenarios for DURATION, the first one of SEED; both fail without a container engine
# make bench   Warren beside its peers, into docs/internals/performance.md; BENCHFLAGS=-quick: a minute, prints only
#              make cover: coverage of the unit tests
# make mutants what the quick tests do not notice: COUNT small wrong changes of PKGS, a sample of SEED, within
#              20 minutes; MUTANTFLAGS="-for 1h -v"

GO ?= go
TESTFLAGS ?= -shuffle=on -count=1 -timeout=12m
FUZZTIME ?= 30s
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2

# The race detector needs a C compiler.
RACE ?= $(shell command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race)

# Nested modules are modules of their own for users, one project for its tests.
MODULES := $(sort $(dir $(wildcard go.mod */go.mod)))

.PHONY: test images lint fuzz chaos soak bench cover mutants

test: images
	@[ -n "$(RACE)" ] || echo "no C compiler: tests run without the race detector"
	@[ -z "$(RACE)" ] || $(GO) test -run='Alloc|Thousand' . ./brokertest ./core/... ./publisher ./consumer ./channel ./internal/session ./internal/ledger # what it has no room for
	$(GO) run ./internal/testcount $(RACE) $(TESTFLAGS)

images:
	@$(GO) run ./internal/docker/images

lint:
	@GO="$(GO)" STATICCHECK="$(STATICCHECK)" sh .ci/lint $(MODULES)

fuzz:
	@GO="$(GO)" FUZZTIME="$(FUZZTIME)" sh .ci/fuzz

chaos: images
	WARREN_REQUIRE_DOCKER=1 WARREN_VERSIONS="$(VERSIONS)" $(GO) test -count=1 -timeout=30m -run=OnRabbitMQ ./brokertest # conformance
	WARREN_REQUIRE_DOCKER=1 WARREN_CHAOS=all $(GO) test -count=1 -timeout=30m -run=TestWithRabbitMQ ./channel # ten thousand cycles, on 4.3
	cd chaos_test && WARREN_REQUIRE_DOCKER=1 WARREN_CHAOS=all WARREN_VERSIONS="$(VERSIONS)" $(GO) test $(RACE) -count=1 -timeout=3h -v .

DURATION ?= 1h

soak: images
	cd chaos_test && WARREN_REQUIRE_DOCKER=1 WARREN_SOAK=$(DURATION) WARREN_SEED=$(SEED) WARREN_VERSIONS="$(VERSIONS)" \
		$(GO) test $(RACE) -count=1 -timeout=0 -v -run='^TestSoak$$' .

BENCHFLAGS ?= -document ../docs/internals/performance.md

bench:
	cd bench && $(GO) run . $(BENCHFLAGS)

cover:
	$(GO) test -short -coverprofile=coverage.out -coverpkg=./... ./...
	$(GO) tool cover -func=coverage.out | tail -n 1

COUNT ?= 100
PKGS ?= . ./core ./topology/... ./internal/record ./internal/offsets ./recovery ./internal/session ./channel ./publisher ./consumer

mutants:
	$(GO) run ./internal/mutants -count $(COUNT) $(if $(SEED),-seed $(SEED)) $(MUTANTFLAGS) $(PKGS)
