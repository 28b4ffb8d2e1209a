# SPDX-License-Identifier: GPL-2.0
# Builds and tests oxtcp. Everything runs in a Debian 13 root that the first command makes (see tools/lab/).

VM ?= uml
export KDIR KSRC

.PHONY: modules help setup kdir shell run check test fuzz goodput programs foreign-tests stress tools install-tools clean

modules: ## Build oxtcp.ko for the guest VM=uml|umlsmp|stock|debug, or for another kernel with KDIR= (and ARCH=)
	@tools/lab/module $(if $(KDIR),kdir,$(VM))

help: ## Show this list
	@echo "make [TARGET] [VM=uml|umlsmp|stock|debug] [KDIR=prepared kernel build directory] [KSRC=kernel source]"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Make the root with toolchain, guests' programs and kernel source
	@tools/lab/setup

kdir: ## Make the kernel build directory of VM= and print its path
	@tools/lab/kernel $(VM)

shell: ## Open a shell in a guest with the module loaded
	@tools/lab/runner --vm $(VM) --shell

run: ## Boot a guest, load the module and run the demo (VM=uml: on a virtual clock, which does not wait for the slow link)
	@tools/lab/runner --vm $(VM) $(if $(filter uml,$(VM)),--time virtual) --command samples/demo

check: ## The inner loop: module and quick tests of the User-Mode Linux guest, all on a virtual clock
	@tools/lab/runner --vm uml --real-as virtual --skip-slow

test: ## Everything: host tests, static checks, module builds, test lists of all guests
	@tools/lab/test

goodput: ## Compare the goodput with that of Linux's TCP over simulated paths (see tests/goodput/)
	@tests/goodput/goodput

programs: ## Run real programs on AF_OXTCP and print a table (QUICK=1: a selection, WRITE=1: into Documentation/, see tests/programs/)
	@tests/programs/programs --vm $(VM) $(if $(QUICK),--quick) $(if $(WRITE),--write)

stress: ## Run stress-ng's stressors of sockets on AF_OXTCP, each for TIME= seconds (60; VM=debug has the kernel's checkers)
	@tools/lab/runner --vm $(VM) --layer programs --command "python3 -B tests/programs/stress.py --seconds $(or $(TIME),60)"

foreign-tests: ## Run other people's tests over AF_OXTCP and print a table (WRITE=1: into Documentation/, see tests/foreign/)
	@tests/foreign/foreign --vm $(VM) $(if $(WRITE),--write)

fuzz: ## Run each fuzz target for TIME= seconds (60)
	@tools/lab/fuzz $(or $(TIME),60)

tools: ## Build oxtcp_run, which runs unmodified programs on AF_OXTCP, into build/tools
	@tools/lab/programs tools/oxtcp_run

install-tools: ## Install it under PREFIX=/usr/local (and DESTDIR=)
	@$(MAKE) -f tools/oxtcp_run/Makefile --no-print-directory install

clean: ## Remove what was built from the checkout (kernels and root stay cached)
	rm -rf build target oxtcp.ko
