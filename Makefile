# One line each where it can be; CI runs exactly these. `make help` lists them.
SHELL    = bash
FUZZTIME = 60s
BENCH    =
VERSION  = $(shell git describe --tags --always --dirty 2>/dev/null)
# The race detector is C; without a compiler the tests run all the same, and say so.
RACE    := $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)

.DEFAULT_GOAL = help

##@ Every day
run: ## a bus with demo messages, shown in this terminal
	go run ./cmd/fedmsg serve --demo
build: ## the program, into ./fedmsg
	CGO_ENABLED=0 go build -trimpath -o fedmsg ./cmd/fedmsg
test: racenote ## all tests
	go vet ./... && go test $(RACE) -shuffle=on ./...
short: ## the tests that take no time
	go test -short ./...
lint: ## formatting, vet, staticcheck, modernizers, go.mod
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo 'lint: run: gofmt -w .' >&2; exit 1; }
	go vet ./... && go fix -diff ./... && go mod tidy -diff
	go tool -modfile=tools.mod staticcheck ./...

##@ Deeper
fuzz: ## each fuzz target for FUZZTIME
	scripts/fuzz.sh $(FUZZTIME)
bench: ## ours beside a floor and a peer; one part with BENCH=durable|relay|fanout|http|program|words|history
	cd bench && go run . $(BENCH)
script: ## the program as its user sees it
	go test -count=1 -run 'TestScript' ./cmd/fedmsg
interop: ## against libzmq and Python's zmq, bad inputs, vectors; nothing may be skipped for a missing peer
	FEDMSG_REQUIRE_PEERS=1 go test -count=1 -run 'Vectors|BadInputs|Peer|Interop|Python' ./...
crash: ## kill -9, power cuts, full disks, failing calls, at full length
	go test -count=1 -run 'Kill|PowerCut|DiskFull|Faults|Damage' ./sqlite ./postgres
	FEDMSG_TEST_OUTAGE=2m go test -count=1 -run 'PostgresOutage' -v ./cmd/fedmsg

##@ Docs and releases
docs: ## what in docs/ is made, and what a test keeps true: helpers; metrics, invariants, dependencies, wire words
	UPDATE=1 go test -count=1 -run 'TestDocs' ./cmd/fedmsg
	go test -count=1 -run 'TestHouse|TestDocs' .
dist: ## static programs and their checksums, into dist/
	scripts/dist.sh $(VERSION)
help: ## this list
	@awk -F':.*## ' '/^##@ /{print "\n" substr($$0,5)} /^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

racenote:
	@test -n '$(RACE)' || echo 'test: no C compiler, so without the race detector (apt-get install gcc)' >&2
.PHONY: run build test short lint fuzz bench script interop crash docs dist help racenote
