# gantry-monitor runs once per container: static and at a fixed address, so that all share their pages and none has relocated ones.
MONITOR := $(wildcard monitor/*.c)
MONITOR_HEADERS := $(wildcard monitor/*.h)

all: $(BUILD)/gantry-monitor

$(BUILD)/gantry-monitor: $(MONITOR) $(MONITOR_HEADERS) monitor/monitor.mk | $(BUILD)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -fno-pie -no-pie -static -Wl,-z,norelro $(MONITOR) -o $@.new
	mv $@.new $@

# For the tests: the same program under the sanitizers, and linked so that valgrind knows its libc.
checked: $(BUILD)/gantry-monitor-sanitized $(BUILD)/gantry-monitor-dynamic

$(BUILD)/gantry-monitor-sanitized: CHECKS := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
$(BUILD)/gantry-monitor-dynamic: CHECKS := -O1
$(BUILD)/gantry-monitor-sanitized $(BUILD)/gantry-monitor-dynamic: $(MONITOR) $(MONITOR_HEADERS) monitor/monitor.mk | $(BUILD)
	$(CC) -std=gnu11 -g $(WARNINGS) -D_GNU_SOURCE $(CHECKS) $(MONITOR) -o $@.new
	mv $@.new $@

.PHONY: checked
