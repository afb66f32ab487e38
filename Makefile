# Assay. `make bringup` and `make test` install what is missing; the other targets expect that one of them has run.
CARGO ?= cargo
STATE ?= .assay
# A Debian 13 root with a newer Mesa; made anew where it is missing.
MESA_ROOT ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/assay/debian-13
TRIPLE := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p' | tr a-z- A-Z_)

.PHONY: help bringup test lint shaders faults bench inventory-scale calibrate compare replicas crash fleet-load gpu image pxe vm clean-state

help:
	@echo "make bringup   build, burn this machine in, register it in an inventory of its own"
	@echo "make test      everything that CI runs; ends with counts"
	@echo "make lint      format and clippy"
	@echo "make shaders   compile the GLSL anew after a change (needs a C++ compiler)"
	@echo "make pxe       build the boot image; boot empty virtual machines by PXE, BIOS and UEFI, to a node in the pool"
	@echo "make vm        what can go wrong at boot, a virtual machine for each"
	@echo "make faults    every fault of the table put in, seen to arrive and judged (minutes); writes docs/faults.md"
	@echo "make bench     criterion benchmarks of the kernels on every device at hand"
	@echo "make inventory-scale  how long a page takes with 100,000 nodes in the store, over HTTPS"
	@echo "make compare   other programs against ours, in turn on one device: PEERS=DIR names their folder"
	@echo "make replicas  two inventories on one PostgreSQL under load, one killed; prints its figures"
	@echo "make fleet-load  ten thousand virtual nodes against the inventory: storm, stream, overload, outage, clones (minutes)"
	@echo "make crash     power failures, failing calls to the disk, wrong bits and kill -9 against the inventory's store (minutes)"
	@echo "make gpu       the whole suite on this machine's GPU, figures saved under docs/results"
	@echo "make calibrate prove that the checkers see what they claim: faults, clean rounds, changed kernels (hours)"

bringup:
	@images/packages.sh run
	$(CARGO) build --release --locked
	@images/bringup.sh target/release $(STATE)

# The programs are built first: whole stories start them as a user would. Then the conformance suite runs on the newest
# software Vulkan that Debian offers (it has cooperative matrices), in a root of its own, and everything on this machine's.
test: lint
	@$(CARGO) nextest --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-nextest
	$(CARGO) build --workspace --bins --locked
	$(CARGO) build -p fault-layer --locked
	@tests/roots/make-root.sh $(MESA_ROOT)
	CARGO_TARGET_$(TRIPLE)_RUNNER="$(CURDIR)/tests/roots/in-root.sh $(MESA_ROOT)" ASSAY_EXPECT_FEATURES=matrix \
		$(CARGO) nextest run --workspace --locked -E 'package(burnin) & binary(conformance)'
	$(CARGO) nextest run --workspace --locked

lint:
	@images/packages.sh test
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

shaders:
	$(CARGO) run --locked -p kernels-compile

# The programs under test are those that `make test` builds.
faults:
	$(CARGO) build --workspace --bins --locked
	$(CARGO) build -p fault-layer --locked
	target/debug/faults --page docs/faults.md

# Real rows, written by the store itself: about two minutes before the first request.
inventory-scale:
	$(CARGO) test --release --locked -p inventory --test scale -- --ignored --nocapture

bench:
	$(CARGO) bench --locked -p benches

# What the inventory acknowledges is on disk: power failures, failing calls, wrong bits, kill -9, each in its full form.
crash:
	ASSAY_CRASH_ROUNDS=8 ASSAY_CRASH_EXHAUSTIVE=6 ASSAY_CRASH_RANDOM=20 ASSAY_FAIL_STEP=1 ASSAY_FLIP_STEP=61 \
		ASSAY_KILL_CYCLES=1000 $(CARGO) nextest run --profile long --locked -p crash-disk -p inventory \
		--success-output final -E 'package(crash-disk) + package(inventory) & (binary(disk) + binary(crash))'

# The document goes to $(STATE), and from there into docs/calibration.md.
calibrate:
	@mkdir -p $(STATE)
	$(CARGO) build --release --locked -p burnin
	target/release/burnin calibrate --mutants --jobs $$(nproc) --out $(STATE)/calibration.json
	@docs/calibration.sh $(STATE)/calibration.json > docs/calibration.md

# Other programs, built by whoever compares, against ours: make compare PEERS=DIR [OUT=docs/results/NAME].
compare:
	@test -n "$(PEERS)" || { echo "name the folder with the other programs: make compare PEERS=DIR" >&2; exit 2; }
	$(CARGO) build --release --locked -p burnin
	$(CARGO) build --release --locked -p benches --bin compare
	target/release/compare --peers "$(PEERS)" $(if $(OUT),--out "$(OUT)")

# Two servers on one PostgreSQL, 2,000 registrations, one server killed in the middle.
replicas:
	@images/packages.sh test
	ASSAY_REPLICA_NODES=2000 $(CARGO) test --release --locked -p inventory --test replicas -- --nocapture

# Virtual nodes against the release build of the server, on the disk of $(STATE).
fleet-load:
	$(CARGO) build --release --locked -p inventory
	@benches/fleet-load.sh target/release/inventory $(STATE)/simulate

# The whole suite on this machine's GPU, saved under docs/results.
gpu:
	$(CARGO) build --release --locked -p burnin
	@benches/gpu.sh target/release/burnin docs/results

# The boot image of a node without a GPU, in $(STATE)/image. `node-init` is static: the init layer has no libraries.
TARGET := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
image:
	@images/packages.sh vm
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --locked -p node-init --target $(TARGET)
	$(CARGO) build --release --locked -p burnin -p inventory -p images -p vm
	target/release/images build --profile software --out $(STATE)/image \
		--init target/$(TARGET)/release/node-init --burnin target/release/burnin

pxe: image
	target/release/vm pxe --image $(STATE)/image --consoles $(STATE)/vm

vm: image
	target/release/vm scenarios --image $(STATE)/image --consoles $(STATE)/vm

clean-state:
	rm -rf $(STATE)
