# gantry-monitor runs once per container: static and at a fixed address, so that all share their pages and none has relocated ones.
MONITOR := $(wildcard monitor/*.c)
MONITOR_HEADERS := $(wildcard monitor/*.h)

all: $(BUILD)/gantry-monitor

$(BUILD)/gantry-monitor: $(MONITOR) $(MONITOR_HEADERS) monitor/monitor.mk | $(BUILD)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -fno-pie -no-pie -static -Wl,-z,norelro $(MONITOR) -o $@.new
	mv $@.new $@

# For the tests: the same program under the address and undefined-behaviour sanitizers.
sanitized: $(BUILD)/gantry-monitor-sanitized
$(BUILD)/gantry-monitor-sanitized: $(MONITOR) $(MONITOR_HEADERS) monitor/monitor.mk | $(BUILD)
	$(CC) -std=gnu11 -O1 -g $(WARNINGS) -D_GNU_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all $(MONITOR) -o $@.new
	mv $@.new $@

.PHONY: sanitized
