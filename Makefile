SHELL = bash -o pipefail

.PHONY: run test test-crash test-backup test-failover test-fleet test-malformed test-abuse fuzz bench lint opa peer postgres patroni browser platforms clean

run:
	go run . serve

# Everything that must hold. What the tests need is made or installed first; what
# cannot be (Open Policy Agent without a module proxy, PostgreSQL without Debian's
# packages) is said, and its tests are skipped.
test: lint platforms opa postgres browser
	go test -race -timeout 25m ./...
	go test ./db -run 'TestPowerCut|TestFailing|TestLongReader|TestFoldKilled|TestCopyInterrupted|TestStatisticsAreTrue'
	go test ./db -run TestCopyThereAndBack -copied 1000000

# Cut the power, make the disk fail, kill the server and open the store by several
# names, at any point of a store's life: no acknowledged report may be lost, and no file may not open.
test-crash:
	go test ./db -run 'TestPowerCut|TestFailingDisk' -images 2000 -failures 500 -v -timeout 10m | grep -v '^='
	go test ./db -run TestRandomNames -sequences 100 -v -timeout 20m | grep -v '^='
	go test ./checker/command -run TestKilledUnderLoad -kills 500 -v -timeout 10m | grep '^ok\|FAIL\|_test.go.*rounds\|^---'

# Back a store of ten million reports up under load, and restore it.
test-backup:
	go test ./checker/command -run TestBackupUnderLoad -backedup 10000000 -v -timeout 20m | grep -v '"time"'

# Kill the primaries of a PostgreSQL cluster, with Patroni and etcd, under load.
test-failover: postgres patroni
	go test ./checker/command -run TestFailover -failover -v -timeout 10m | grep -v '"time"'

# A million requests that something is wrong with, at a server that has to live on.
test-malformed:
	go test ./checker/command -run TestMalformed -malformed 1000000 -v -timeout 20m

# Every fuzz target there is, one after the other. What is found stays in
# testdata/fuzz, and fails the target's test until it is put right. Fuzzing may end
# with an error of its own when its time is up, which that test does not share.
FUZZTIME = 60s

fuzz:
	@go test -list '^Fuzz' -json ./... | sed -n 's/.*"Package":"\([^"]*\)","Output":"\(Fuzz[A-Za-z0-9]*\).n".*/\1 \2/p' | \
		while read package target; do \
			echo "$$package $$target"; \
			go test $$package -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x -parallel 2 || \
				go test $$package -run "^$$target\$$" || exit 1; \
		done

# Ten thousand callers who are slow on purpose, and a million reports that are
# made up, in the one case within what a source may send and in the other without
# a limit.
test-abuse:
	go test ./checker/command -run 'TestSlowCallers|TestInvented' -slow 10000 -invented 1000000 -v -timeout 20m | grep -v '"time"\|: created '

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

# What answers the like question elsewhere, to be measured beside.
peer: .cache/peer/peer

.cache/peer/peer: tools/peer/*
	@echo "build upgrade-responder, once"
	-@mkdir -p $(@D) && cd tools/peer && go build -o $(CURDIR)/$@ . && \
		ln -sf $$(go list -m -f {{.Dir}} github.com/longhorn/upgrade-responder)/geodb/*.mmdb $(CURDIR)/$(@D)/geodb

# Only root can install; all others are told what is missing. The tests start the
# programs themselves, as a user without rights.
define install
@{ $(1); } >/dev/null 2>&1 || \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $(2); } >/dev/null 2>&1 || \
	echo "missing: $(2), and they cannot be installed; tests that need them are skipped"
endef

postgres:
	$(call install,ls /usr/lib/postgresql/*/bin/initdb || which initdb,postgresql)
	$(call install,which pgbouncer || ls /usr/sbin/pgbouncer,pgbouncer)

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

# Whatever is to be fast, in one table: requests a second and what they take,
# folding, the figures of a year, starting, what a busy server still records, what
# a change of the catalog takes, pages and memory with 50,000 releases, and what the
# client costs its host. Each is beside a floor that is measured in turns with it,
# and beside the same ratio at the last release. What has become slower is said at
# the end. To try it small: make bench BENCH='-bench-for 100ms -bench-log 100000'.
# BENCH='-bench-for 2s -write-ratios' writes the ratios of a release down.
BENCH = -bench-for 2s

bench: postgres peer
	go test ./checker/command -run TestBench $(BENCH) -v -timeout 20m | grep --line-buffered -v '^=\|^--- PASS\|"time"\|: created '

clean:
	rm -rf .cache
