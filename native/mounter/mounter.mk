# gantry-mount starts for a call that may wait: static, for a quick start.
all: $(BUILD)/gantry-mount

$(BUILD)/gantry-mount: mounter/mounter.c mounter/mounter.mk | $(BUILD)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -fno-pie -no-pie -static mounter/mounter.c -o $@.new
	mv $@.new $@
