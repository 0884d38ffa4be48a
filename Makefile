SHELL = bash -o pipefail

.PHONY: run test bench lint opa platforms clean

run:
	go run . serve

# Everything that must hold. What the tests need is made first; what cannot be
# made here (Open Policy Agent, without a module proxy) is said, and its tests
# are skipped.
test: lint platforms opa
	go test -race -timeout 12m ./...

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

# Requests a second, beside those of a handler that does nothing and of one
# INSERT a request; and what the client costs its host.
bench:
	go test ./checker -run '^$$' -bench Start -benchtime 1s
	go test ./checker/command -run TestThroughput -throughput 2s -v | grep -v '^=\|^--- PASS\|"time"\|: created '

clean:
	rm -rf .cache
