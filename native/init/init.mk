# gantry-init runs inside containers of any root file system: static.
all: $(BUILD)/gantry-init

$(BUILD)/gantry-init: init/init.c init/init.mk | $(BUILD)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -fno-pie -no-pie -static init/init.c -o $@.new
	mv $@.new $@
