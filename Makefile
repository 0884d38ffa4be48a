SHELL = bash -o pipefail

.PHONY: run test check test-stores test-race test-plain check-slow check-race test-crash test-backup test-failover test-fleet test-malformed test-abuse fuzz bench lint clients peer postgres patroni browser network octokit manual man nginx platforms clean

run:
	go run . serve

# All tests but those that need minutes, a browser, or the programs of others. What they need
# is installed first, from Debian's and npm's packages; where that fails, the tests that need
# it are skipped. Takes at most ten minutes on two cores, with empty caches.
test:
	@$(MAKE) -j 4 lint postgres network octokit
	@$(MAKE) -j 3 test-stores test-race test-plain

# The tests that make test leaves out. Open Policy Agent is built first, which needs a module
# proxy.
check:
	@$(MAKE) -j 3 clients browser manual platforms PLATFORMS='linux/arm64 darwin/arm64 windows/amd64'
	@$(MAKE) -j 2 check-slow check-race

# Packages with tests that make test leaves out, and what is in the names of those tests.
SLOWEST = ./db ./checker/systemtest . ./checker/stats/statstest
SLOW = Browser|PathPrefix|TestClients|OPA|ClosedNetwork|CannotBeLinked|NothingPrivate|SlowDownload|SlowClients|$\
	Expired|Suspended|InventedVersions|Limits|Killed|FullDisk|LargeFleet|TestManual|TestManPages|TestScript/readme|$\
	StatisticsAreCorrect|BehindPgBouncer|FailingChanges|FailingDisk|PowerCut|LongReader|CopyInterrupted|RandomNames|$\
	TestConformance/.*/(Killed|CatalogLimits)

# The race detector leaves out SQLite, which is translated C code: it would take a third of
# the time, and its locks are Go's, so races around it are still found. Packages that start
# no goroutines are tested without it, as are commands and the whole system, except where
# many requests meet.
RACE = go test -race -gcflags=modernc.org/sqlite/lib=-race=false -timeout 25m
ALONE = TestVisitorsSeeOnlyDocuments|TestSnapshot$$
PLAIN = /stats/rollup$$|/stats/public$$|/manual$$|/markdown$$
rest = $$(go list ./... | grep -Ev '^relcheck$$|/db$$|/systemtest$$|/statstest$$' | grep $(1))

test-stores:
	$(RACE) -skip '$(SLOW)' ./db

test-race:
	$(RACE) -skip '$(ALONE)' $(call rest,-Ev '$(PLAIN)')

test-plain:
	go test -timeout 25m -skip '$(SLOW)' $(filter-out ./db,$(SLOWEST))
	go test $(call rest,-E '$(PLAIN)')
	go test -run '$(ALONE)' ./checker/server

check-slow:
	go test -timeout 25m -run '$(SLOW)' $(SLOWEST)

check-race:
	$(RACE) ./checker/systemtest -run 'UnderLoad|Share|Shutdown|SlowClients|UnreadResponses|Malformed|FullDisk|BacksUp|Certificate|AllServers'

# The compiler and the race detector need less time if they collect garbage less often.
lint platforms clients test-stores test-race check-race: export GOGC = 400

# Cut the power, make the disk fail, kill the server, and open the store under several
# names, at arbitrary points of a store's life. No acknowledged report may be lost, and
# every file must open. Takes about two minutes.
test-crash:
	go test ./db -run 'TestPowerCut|TestFailingDisk' -images 2000 -failures 500 -v -timeout 10m | grep -v '^='
	go test ./db -run TestRandomNames -sequences 100 -v -timeout 20m | grep -v '^='
	go test ./db -run 'TestFoldKilled|TestUpgradeKilled' -fold-kills 200 -upgrade-kills 100 -timeout 20m
	go test ./checker/systemtest -run TestFilesKilled -file-kills 1000 -timeout 20m
	go test ./checker/systemtest -run TestKilledUnderLoad -kills 500 -v -timeout 10m | grep '^ok\|FAIL\|_test.go.*rounds\|^---'

# Back up a store of ten million reports under load, and restore it.
test-backup:
	go test ./checker/systemtest -run TestBackupUnderLoad -backedup 10000000 -v -timeout 20m | grep -v '"time"'
	go test ./db -run TestCopyRoundTrip -copied 1000000

# Kill the primaries of a PostgreSQL cluster (with Patroni and etcd) under load.
test-failover: postgres patroni
	go test ./checker/systemtest -run TestFailover -failover -v -timeout 10m | grep -v '"time"'

# Send a million malformed requests. The server must survive and record correctly.
test-malformed:
	go test ./checker/systemtest -run TestMalformed -malformed 1000000 -v -timeout 20m

# Run each fuzz target for FUZZTIME. An input that fails is stored in testdata/fuzz and
# fails the target's test until the code is fixed. go test -fuzz sometimes fails by
# itself when its time is up, so the target's test decides.
FUZZTIME = 60s

fuzz:
	@go test -list '^Fuzz' -json ./... | sed -n 's/.*"Package":"\([^"]*\)","Output":"\(Fuzz[A-Za-z0-9]*\).n".*/\1 \2/p' | \
		while read package target; do \
			echo "$$package $$target"; \
			go test $$package -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x -parallel 2 || \
				go test $$package -run "^$$target\$$" || exit 1; \
		done

# Serve ten thousand deliberately slow connections, and a million invented reports,
# with and without the rate limit.
test-abuse:
	go test ./checker/systemtest -run 'TestSlowClients|TestInventedVersions' -slow 10000 -invented 1000000 -v -timeout 20m | grep -v '"time"\|: created '

# Compare the statistics with what 100,000 simulated instances have sent, 5,000
# reports a second.
test-fleet:
	go test ./checker/systemtest -run TestSimulatedFleetIsCounted -fleet -v | grep -v '"time"'

lint:
	@files=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); test -z "$$files" || { echo "gofmt would change:" $$files; exit 1; }
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...

# The platforms that relcheck is built for, as one static binary each. The tests build one for
# each system.
PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

platforms:
	@for p in $(PLATFORMS); do \
		echo "building for $$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build -o /dev/null . || exit 1; \
	done

# Build a release into dist/: archives, packages, a container image, a list of the modules in
# it, and checksums. It needs a clone, and for signed checksums the secret key of relcheck
# key generate:
#   make dist KEY=release.key
.PHONY: dist
dist:
	@cd tools/dist && go run . -source $(CURDIR) -platforms '$(PLATFORMS)' $(if $(KEY),-key $(abspath $(KEY)))

# Build a release twice in different folders and compare the two. Install, upgrade, remove
# and purge its package in Debian with systemd, install its archive there as the manual
# describes, run its image, and check its examples with nginx, Caddy and Prometheus. PACKAGED
# are the platforms that are built. Takes about four minutes, and at first one more to create
# the Debian.
PACKAGED = linux/$(shell go env GOARCH)

.PHONY: test-packages
test-packages:
	$(call install,which debootstrap systemd-nspawn rpm podman runc nginx caddy prometheus fish zsh,debootstrap systemd-container rpm podman runc nginx caddy prometheus fish zsh)
	@cd tools/dist && go vet . && go test -timeout 40m -v . -args -platforms '$(PACKAGED)' | grep --line-buffered -v '^=== '

# Real clients for tests: Open Policy Agents that send reports (up to v1.12) or only
# check, and the released code with which other programs look for updates.
OPA = v0.28.0 v0.70.0 v1.6.0 v1.10.1 v1.22.2

opa: $(OPA:%=.cache/opa/%/opa)

.cache/opa/%/opa:
	@echo "building Open Policy Agent $*"
	-GOBIN=$(CURDIR)/.cache/opa/$* go install github.com/open-policy-agent/opa@$*

clients: opa .cache/clients/clients .cache/clients/kubeadm
	$(call install,which gh curl wget,gh curl wget)
	$(call install,which node npm,nodejs npm)
	$(call npm,clients,checker/systemtest/testdata/clients,released npm packages)

.cache/clients/clients: tools/clients/*.go tools/clients/go.mod
	@echo "building released clients"
	-@cd tools/clients && go build -o $(CURDIR)/$@ .

# The package that has the code also has much else that needs most of Kubernetes, so only
# its file is built.
.cache/clients/kubeadm: tools/clients/kubeadm/*
	@echo "building the code of kubeadm"
	-@rm -rf $@.src && mkdir -p $(@D) && cp -r tools/clients/kubeadm $@.src && ( cd $@.src && go mod vendor && \
		find vendor/k8s.io/kubernetes/cmd/kubeadm/app/util -maxdepth 1 -name '*.go' ! -name version.go -delete && \
		go build -ldflags '-X k8s.io/component-base/version.gitVersion=v1.36.1' -o $(CURDIR)/$@ . )
	@rm -rf $@.src

# Longhorn's upgrade-responder, a similar service to compare benchmarks with.
peer: .cache/peer/peer

.cache/peer/peer: tools/peer/*
	@echo "building upgrade-responder"
	-@mkdir -p $(@D) && cd tools/peer && go build -o $(CURDIR)/$@ . && \
		ln -sf $$(go list -m -f {{.Dir}} github.com/longhorn/upgrade-responder)/geodb/*.mmdb $(CURDIR)/$(@D)/geodb

# install,CHECK,PACKAGES installs Debian packages unless CHECK succeeds, one after the other.
# Without root it reports what is missing. The tests start the programs themselves, as an unprivileged
# user.
define install
@{ $(1); } >/dev/null 2>&1 || { mkdir -p .cache && \
	flock .cache/installing sh -c '{ $(1); } || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $(2); }'; } >/dev/null 2>&1 || \
	echo "missing and not installable: $(2); tests that need them are skipped"
endef

postgres:
	$(call install,ls /usr/lib/postgresql/*/bin/initdb || which initdb,postgresql)
	$(call install,which pgbouncer || ls /usr/sbin/pgbouncer,pgbouncer)

patroni:
	$(call install,which patroni etcd,patroni etcd-server)

# npm,NAME,FOLDER,WHAT installs the packages that FOLDER locks into .cache/NAME.
define npm
@mkdir -p .cache/$(1) && cp $(2)/package*.json .cache/$(1) && \
	{ test .cache/$(1)/node_modules/.package-lock.json -nt $(2)/package-lock.json || \
	(cd .cache/$(1) && npm ci --ignore-scripts --no-audit --no-fund) >/dev/null 2>&1; } || \
	echo "missing and not installable with npm: $(3); tests that need them are skipped"
endef

# A browser for the tests of the pages, with Playwright to drive it and axe to check
# accessibility. To write screenshots, run go test ./checker/systemtest -run TestBrowser
# -screenshots DIR.
browser:
	$(call install,which chromium,chromium)
	$(call install,which node npm,nodejs npm)
	$(call npm,browser,checker/systemtest/testdata/browser,playwright-core and axe-core)

# Programs for the test of a closed network. It also needs root, to create a network
# namespace.
network:
	$(call install,which ip curl,iproute2 curl)

# Answers of GitHub's API, recorded by Octokit, that tests replay.
octokit:
	$(call install,which node npm,nodejs npm)
	$(call npm,octokit,checker/upstream/testdata/octokit,@octokit/fixtures)

# Programs that check the examples of the manual.
manual:
	$(call install,which man groff caddy haproxy promtool nginx jq openssl,man-db groff caddy haproxy prometheus nginx jq openssl)

# The manual as man pages, for packages.
man:
	@mkdir -p .cache && go build -o .cache/relcheck . && go run -C tools ./man -manual ../checker/manual -relcheck $(CURDIR)/.cache/relcheck -out $(CURDIR)/.cache/man

# What downloads and bundles are compared with.
nginx:
	$(call install,which zstd tar sha256sum && test -x /usr/sbin/nginx,nginx zstd)

# Measure everything that is meant to be fast, and print one table: requests a second
# with their CPU time and memory, folding, queries over a year, start-up, recording
# beside other work, catalog changes, pages and memory with 50,000 releases, and the
# cost of the client. Each figure is a ratio to a floor that is measured in turns with
# it, next to the ratio at the last release. What has become slower is listed at the
# end. Takes about sixteen minutes.
#   make bench BENCH='-bench-for 100ms -bench-log 100000'   a short run
#   make bench BENCH='-bench-for 1s -write-ratios'          store the ratios of a release
BENCH = -bench-for 1s

bench: postgres peer nginx
	go test ./checker/systemtest -run TestBench $(BENCH) -v -timeout 40m | grep --line-buffered -v '^=\|^--- PASS\|"time"\|: created '

clean:
	rm -rf .cache
