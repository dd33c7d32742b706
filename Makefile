# Developer's entry points. Users need none of this: R CMD INSTALL builds the package by src/Makevars.
#
#   make test-c          the core without R: every floor, $(CC), address and undefined sanitizers
#   make test-c CC=clang MODE=tsan FLOORS=stream
#   make lib             the archives only
#
# Each floor is an archive; its test programs link only the archives that it may see (tools/layers says which).
CC = gcc
MODE = san
FLOORS = base frame num learn design decode store kafka stream
BUILD = build/$(CC)-$(MODE)

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror
SAN_san = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SAN_tsan = -fsanitize=thread
OPT_san = -O1 -g
OPT_tsan = -O1 -g
OPT_opt = -O2 -g
OPT_cov = -O0 -g --coverage
CFLAGS = -std=c11 $(WARN) $(OPT_$(MODE)) $(SAN_$(MODE)) $(EXTRA) -fPIC -pthread -D_GNU_SOURCE -Isrc -Itests/c

SEES_base = base
SEES_frame = frame base
SEES_num = num base
SEES_learn = learn num base
SEES_design = design num frame base
SEES_decode = decode frame base
SEES_store = store frame base
SEES_kafka = kafka frame base
SEES_stream = stream design learn num frame base
LIBS_num = -lopenblas
LIBS_learn = -lopenblas
LIBS_design = -lopenblas
LIBS_stream = -lopenblas
LIBS_store = -lz
LIBS_kafka = -lrdkafka

.PHONY: all lib test-c clean
all: lib
lib: $(foreach f,$(FLOORS),$(BUILD)/lib$(f).a)

define floor_rules
OBJ_$(1) = $$(patsubst src/%.c,$(BUILD)/%.o,$$(wildcard src/$(1)/*.c))
HELP_$(1) = $$(filter-out $$(wildcard tests/c/$(1)/test-*.c),$$(wildcard tests/c/$(1)/*.c))
PROG_$(1) = $$(patsubst tests/c/$(1)/%.c,$(BUILD)/$(1)/%,$$(wildcard tests/c/$(1)/test-*.c))
$(BUILD)/lib$(1).a: $$(OBJ_$(1))
	@rm -f $$@; ar crs $$@ $$^
$(BUILD)/$(1)/test-%: tests/c/$(1)/test-%.c tests/c/harness.h $$(HELP_$(1)) $$(foreach f,$$(SEES_$(1)),$(BUILD)/lib$$(f).a)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) -o $$@ $$< $$(HELP_$(1)) $$(foreach f,$$(SEES_$(1)),$(BUILD)/lib$$(f).a) $$(LIBS_$(1)) -lm
endef
$(foreach f,base frame num learn design decode store kafka stream,$(eval $(call floor_rules,$(f))))

$(BUILD)/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(wildcard $(BUILD)/*/*.d)

test-c: $(foreach f,$(FLOORS),$(PROG_$(f)))
	@failed=0; for t in $^; do echo "# $$t"; ./$$t || failed=1; done; exit $$failed

clean:
	rm -rf build
