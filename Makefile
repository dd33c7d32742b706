# Developer's entry points. Users need none of this: R CMD INSTALL builds the package by src/Makevars.
#
#   make demo            the main job, packages and all (sh tools/demo)
#   make test            every test there is (sh tools/test)
#   make test-c          the core without R: every floor, $(CC), address and undefined sanitizers
#   make test-c CC=clang MODE=tsan FLOORS=stream
#   make test-r          the R tests against the installed package
#   make sanitized-r     the R tests against a package with sanitizers (two minutes; not part of `make test`)
#   make check           R CMD build and R CMD check
#   make lint            floors, sizes and format
#   make fmt             format the C files by clang-format
#   make fuzz            every tests/fuzz/fuzz-*.c for FUZZ_SECONDS each (FUZZ_SECONDS_json: that one), from a copy of its corpus
#   make cov             coverage of the C tests, by lcov
#   make analyze         cppcheck and gcc -fanalyzer over the core
#   make bench           the measurements of bench/RESULTS.md
#   make lib             the archives only
#
# Each floor is an archive; its test programs link only the archives that tools/layers lets it see.
CC = gcc
MODE = san
FLOORS = base frame num learn design decode store kafka stream
BUILD = build/$(CC)-$(MODE)
FUZZ_SECONDS = 20

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror
SAN_san = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SAN_tsan = -fsanitize=thread
SAN_cov = -DRFL_SLOW
SAN_fuzz = -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT_san = -O1 -g
OPT_tsan = -O1 -g
OPT_opt = -O2 -g
OPT_cov = -O1 -g --coverage -fprofile-update=atomic
OPT_fuzz = -O1 -g
OPT_analyze = -O1 -g -fanalyzer -Wno-analyzer-shift-count-overflow -Wno-unused-value -Wno-sign-conversion -DRFL_ANALYZE
CFLAGS = -std=c11 $(WARN) $(OPT_$(MODE)) $(SAN_$(MODE)) $(EXTRA) -fPIC -pthread -D_GNU_SOURCE -Isrc -Itests/c

LIB_num = -lopenblas
LIB_store = -lz
LIB_kafka = -lrdkafka

C_FILES = find src tests/c tests/fuzz bench -name '*.[ch]'

.PHONY: all lib demo test test-c test-r sanitized-r check lint fmt fmt-check fuzz cov cov-clean cov-report analyze bench clean
all: lib
lib: $(foreach f,$(FLOORS),$(BUILD)/lib$(f).a)

define floor_rules
SEES_$(1) = $(1) $$(shell sed -n 's/^floor $(1)://p' tools/layers)
OBJ_$(1) = $$(patsubst src/%.c,$(BUILD)/%.o,$$(wildcard src/$(1)/*.c))
HELP_$(1) = $$(filter-out $$(wildcard tests/c/$(1)/test-*.c),$$(wildcard tests/c/$(1)/*.c))
PROG_$(1) = $$(patsubst tests/c/$(1)/%.c,$(BUILD)/$(1)/%,$$(wildcard tests/c/$(1)/test-*.c))
$(BUILD)/lib$(1).a: $$(OBJ_$(1))
	@rm -f $$@; ar crs $$@ $$^
$(BUILD)/$(1)/test-%: tests/c/$(1)/test-%.c tests/c/harness.h $$(HELP_$(1)) $$(wildcard tests/c/$(1)/*.h) $$(foreach f,$$(SEES_$(1)),$(BUILD)/lib$$(f).a)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) -o $$@ $$< $$(HELP_$(1)) $$(foreach f,$$(SEES_$(1)),$(BUILD)/lib$$(f).a) $$(foreach f,$$(SEES_$(1)),$$(LIB_$$(f))) -lm
endef
$(foreach f,base frame num learn design decode store kafka stream,$(eval $(call floor_rules,$(f))))

$(BUILD)/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(wildcard $(BUILD)/*/*.d)

test-c: $(foreach f,$(FLOORS),$(PROG_$(f)))
	@failed=0; for t in $^; do echo "# $$t"; ./$$t || { echo "not ok at $$t: it ended with $$?"; failed=1; }; done; exit $$failed

# Fuzz targets: what they may fuzz is what reads bytes. Built by clang apart from all else; two run at a time.
FUZZ_FLOORS = stream design learn num decode store frame base
FUZZ_NAMES = $(patsubst tests/fuzz/fuzz-%.c,%,$(wildcard tests/fuzz/fuzz-*.c))

$(BUILD)/fuzz-%: tests/fuzz/fuzz-%.c $(foreach f,$(FUZZ_FLOORS),$(BUILD)/lib$(f).a)
	$(CC) $(CFLAGS) -fsanitize=fuzzer -o $@ $< $(foreach f,$(FUZZ_FLOORS),$(BUILD)/lib$(f).a $(LIB_$(f))) -lm

.SECONDARY: $(FUZZ_NAMES:%=$(BUILD)/fuzz-%)

# The corpus is copied, since the fuzzer adds what it finds. What breaks a target is kept beside its log.
fuzz-run-%: $(BUILD)/fuzz-%
	@rm -rf $(BUILD)/fuzzed/$*; mkdir -p $(BUILD)/fuzzed/$*/corpus
	@cp tests/fuzz/corpus/$*/* $(BUILD)/fuzzed/$*/corpus/
	@dictionary=; if [ -f tests/fuzz/$*.dict ]; then dictionary=-dict=tests/fuzz/$*.dict; fi; \
	if $(BUILD)/fuzz-$* -max_total_time=$(or $(FUZZ_SECONDS_$*),$(FUZZ_SECONDS)) -timeout=10 -rss_limit_mb=2048 -max_len=65536 $$dictionary \
	  -artifact_prefix=$(BUILD)/fuzzed/$*/ $(BUILD)/fuzzed/$*/corpus >$(BUILD)/fuzzed/$*/log 2>&1; \
	then echo "ok fuzz-$*: $$(tail -n 1 $(BUILD)/fuzzed/$*/log)"; \
	else echo "not ok fuzz-$*"; tail -n 60 $(BUILD)/fuzzed/$*/log; exit 1; fi

fuzz:
	+@$(MAKE) --no-print-directory -j2 CC=clang MODE=fuzz $(FUZZ_NAMES:%=fuzz-run-%)

# The tests once more, every line counted; the summary is printed, the lines are in build/coverage.info.
cov: cov-clean
	@$(MAKE) --no-print-directory test-c CC=gcc MODE=cov
	@$(MAKE) --no-print-directory cov-report
cov-clean:
	@find build/gcc-cov -name '*.gcda' -delete 2>/dev/null || :
cov-report:
	@lcov --quiet --capture --directory build/gcc-cov --output-file build/coverage-all.info
	@lcov --quiet --extract build/coverage-all.info '*/src/*' --output-file build/coverage.info
	@lcov --list build/coverage.info
	@lcov --summary build/coverage.info 2>&1 | grep -E 'lines|functions'

fmt:
	@$(C_FILES) | xargs clang-format -i

fmt-check:
	@$(C_FILES) | xargs clang-format --dry-run -Werror

lint: fmt-check
	sh tools/check-layers
	sh tools/check-size

# Neither tool understands vector types (stores into an array, shifts of all lanes), and cppcheck 2.10 loses its way in a compound
# literal within ?: - those complaints are left out.
analyze:
	cppcheck --quiet --std=c11 --enable=warning,portability,performance --inline-suppr --suppress=internalAstError \
	  --suppress='uninitvar:*_body.h' --error-exitcode=1 -Isrc $(FLOORS:%=src/%)
	@$(MAKE) --no-print-directory --keep-going lib CC=gcc MODE=analyze

demo:
	sh tools/demo
test:
	sh tools/test
test-r:
	mkdir -p build
	Rscript tools/test-r.R build/results-r.txt
sanitized-r:
	sh tools/sanitized-r
check:
	rm -rf build/pkg && mkdir -p build/pkg
	cd build/pkg && R CMD build ../.. && _R_CHECK_FORCE_SUGGESTS_=false R CMD check --no-manual riffle_*.tar.gz
bench:
	sh bench/run

clean:
	rm -rf build
