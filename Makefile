# Everything that is done with the source, by name. CI calls the same targets.

GO      ?= go
BIN     ?= bin/midplane
IMAGE   ?= midplane:local
FUZZ    ?= 10s
STATIC   = $(GO) tool -modfile=tools/go.mod staticcheck
VULN     = $(GO) tool -modfile=tools/vulncheck/go.mod govulncheck

.PHONY: build test race lint fuzz bench bench-load bench-reads floors vulncheck image compose compose-down compose-destroy e2e lab lab-long docs clean

## build: the program, static, without symbols, in bin/
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o $(BIN) ./cmd/midplane

## test: installs what the tests need, then runs every test except the
## end-to-end ones
test:
	.ci/test

## race: the packages that hold state, with the race detector
race:
	$(GO) test -race -timeout 15m ./bus/... ./platform/ingress/... ./platform/registry ./poller/channel ./poller/embedded ./poller/forward ./poller/heartbeat ./poller/outbox ./poller/schedule ./primary/consume ./primary/fold ./primary/repair ./primary/store/sqlite ./console ./console/access ./internal/run ./schemas

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

## bench: every benchmark except the load, in one run, beside the raw limit of
## that run
bench:
	$(GO) run ./bench ingress latency fold noisy tenants commit failover start apply

## bench-load: what polls cost in which nothing has changed; one poller with 500
## SNMP devices and 5,000 TCP checks on default quotas, and an outage of ten
## minutes (about 30 minutes); exit 1 when a floor is missed. The short form is:
## go run ./bench -short unchanged load
bench-load:
	$(GO) run ./bench unchanged load

## bench-reads: what the command line and the page ask a primary with 50,000
## devices; exit 1 when an answer takes too long. Nothing else may run meanwhile
bench-reads:
	$(GO) run ./bench reads

## floors: the figures that must hold; exit 1 when one is missed
floors:
	$(GO) run ./bench floors

## vulncheck: known vulnerabilities, in the source and in the built program
## (asks https://vuln.go.dev, so it is not part of .ci/run)
vulncheck: build
	$(VULN) ./...
	$(VULN) -mode=binary $(BIN)

## image: the container image, made of the static binary alone
image:
	deploy/image.sh $(IMAGE)

## compose: three nodes, a primary and two tenants' pollers as containers; then it
## prints how to reach them from this machine
compose: image
	MIDPLANE_IMAGE=$(IMAGE) docker-compose up -d
	@MIDPLANE_IMAGE=$(IMAGE) deploy/compose/host.sh

## compose-down: stops the containers; their data, keys and CA stay, and
## make compose goes on with them
compose-down:
	docker-compose down

## compose-destroy: removes the containers with all they keep: the data, the
## operator's keys, the CA, the pollers' credentials. There is no way back
compose-destroy:
	docker-compose down --volumes

## e2e: the end-to-end tests: the same containers, and separate processes with TLS
e2e:
	$(GO) test -tags e2e -count 1 -timeout 20m -v ./e2e

## lab: the fault laboratory: every kind of fault once, with what must come of it
## (needs root and /dev/fuse)
lab:
	$(GO) test -tags e2e -count 1 -timeout 30m -parallel 2 -v ./e2e/lab

## lab-long: three times with other seeds, and the rows that take long
lab-long:
	$(GO) test -tags e2e -count 1 -timeout 4h -parallel 2 -v ./e2e/lab -args -lab-long -lab-rounds 3

## docs: write the generated parts of the documentation again
docs:
	$(GO) test ./docs -update

clean:
	rm -rf bin
