# Everything that is done to the source, by name. CI calls the same targets.

GO      ?= go
BIN     ?= bin/midplane
IMAGE   ?= midplane:local
FUZZ    ?= 10s
STATIC   = $(GO) tool -modfile=tools/go.mod staticcheck
VULN     = $(GO) tool -modfile=tools/vulncheck/go.mod govulncheck

.PHONY: build test race lint fuzz bench floors vulncheck image compose compose-down e2e docs clean

## build: the program, static, in bin/
build:
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/midplane

## test: every test but the end-to-end ones, and before them what they need
test:
	.ci/test

## race: the packages that hold state, with the race detector
race:
	$(GO) test -race -timeout 15m ./bus ./platform/ingress ./platform/control/registry ./poller/outbox ./primary/fold ./primary/store ./console ./console/access ./internal/run ./schemas

## lint: format, vet, staticcheck, module files
lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-clean:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags e2e ./e2e/...
	$(STATIC) -tags e2e ./...
	$(GO) mod verify
	$(GO) mod tidy -diff

## fuzz: every fuzz target for a short while (FUZZ=10m for a long one)
fuzz:
	@grep -rlE '^func Fuzz[A-Za-z]+\(f \*testing\.F\)' --include='*_test.go' . | sort | while read -r file; do \
		for target in $$(grep -oE '^func Fuzz[A-Za-z]+' "$$file" | sed 's/func //'); do \
			echo "fuzz $$(dirname "$$file") $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ) -fuzzminimizetime 20x "$$(dirname "$$file")" || exit 1; \
		done; \
	done

## bench: every benchmark, in one run, beside the raw limit of that run
bench:
	$(GO) run ./bench ingress latency fold noisy tenants failover start apply

## floors: the five floors; exit 1 when one is missed
floors:
	$(GO) run ./bench floors

## vulncheck: known vulnerabilities, in the source and in the built program
## (asks https://vuln.go.dev, so it is not part of .ci/run)
vulncheck: build
	$(VULN) ./...
	$(VULN) -mode=binary $(BIN)

## image: the container image, from the static binary alone
image:
	deploy/image.sh $(IMAGE)

## compose: three nodes, a primary and two tenants' pollers as containers
compose: image
	MIDPLANE_IMAGE=$(IMAGE) docker-compose up -d

compose-down:
	docker-compose down -v

## e2e: the same, driven and checked; and separate processes with TLS
e2e:
	$(GO) test -tags e2e -count 1 -timeout 20m -v ./e2e/...

## docs: write the generated reference pages anew
docs:
	$(GO) test ./docs -update

clean:
	rm -rf bin
