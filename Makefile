SHELL = bash -o pipefail

.PHONY: run test test-failover test-fleet bench lint opa postgres patroni browser platforms clean

run:
	go run . serve

# Everything that must hold. What the tests need is made or installed first; what
# cannot be (Open Policy Agent without a module proxy, PostgreSQL without Debian's
# packages) is said, and its tests are skipped.
test: lint platforms opa postgres browser
	go test -race -timeout 12m ./...
	go test ./db -run TestCopyThereAndBack -copied 1000000

# Kill the primaries of a PostgreSQL cluster, with Patroni and etcd, under load.
test-failover: postgres patroni
	go test ./checker/command -run TestFailover -failover -v -timeout 10m | grep -v '"time"'

# What a fleet of 100,000 instances reports, 5,000 a second, is what is shown of it.
test-fleet:
	go test ./checker/command -run TestSimulatedFleetIsCounted -fleet -v | grep -v '"time"'

lint:
	@files=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); test -z "$$files" || { echo "gofmt would change:" $$files; exit 1; }
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...

# relcheck is one static binary on each of these.
PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

platforms:
	@for p in $(PLATFORMS); do \
		echo "build for $$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build -o /dev/null . || exit 1; \
	done

# Real clients: one that reports, and one that only asks.
OPA = v0.70.0 v1.22.2

opa: $(OPA:%=.cache/opa/%/opa)

.cache/opa/%/opa:
	@echo "build Open Policy Agent $*, once"
	-GOBIN=$(CURDIR)/.cache/opa/$* go install github.com/open-policy-agent/opa@$*

# Only root can install; all others are told what is missing. The tests start the
# programs themselves, as a user without rights.
define install
@{ $(1); } >/dev/null 2>&1 || \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $(2); } >/dev/null 2>&1 || \
	echo "missing: $(2), and they cannot be installed; tests that need them are skipped"
endef

postgres:
	$(call install,ls /usr/lib/postgresql/*/bin/initdb || which initdb,postgresql)

patroni:
	$(call install,which patroni etcd,patroni etcd-server)

# A browser that looks at the pages, and what drives it and asks about
# accessibility. Screenshots are left in .cache/screenshots.
browser:
	$(call install,which chromium,chromium)
	$(call install,which node npm,nodejs npm)
	@mkdir -p .cache/browser && cp checker/command/testdata/browser/package*.json .cache/browser && \
		{ test .cache/browser/node_modules/.package-lock.json -nt checker/command/testdata/browser/package-lock.json || \
		(cd .cache/browser && npm ci --ignore-scripts --no-audit --no-fund) >/dev/null 2>&1; } || \
		echo "missing: playwright-core and axe-core, and npm cannot install them; tests that need them are skipped"

# Requests a second, beside those of a handler that does nothing and of one
# INSERT a request; what the client costs its host; and how long the figures of a
# year take, over a long log and over a short one.
bench: postgres
	go test ./checker -run '^$$' -bench Start -benchtime 1s
	go test ./db -run TestStatisticsTime -statistics 10000000 -v -timeout 20m | grep -v '^=\|^--- PASS'
	go test ./checker/command -run TestThroughput -throughput 2s -v | grep -v '^=\|^--- PASS\|"time"\|: created '

clean:
	rm -rf .cache
