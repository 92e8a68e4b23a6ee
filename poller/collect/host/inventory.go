package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	hostinfo "github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"

	"midplane/event"
	"midplane/poller/collect"
)

func inventory(ctx context.Context, t collect.Target) ([]event.Event, error) {
	info, err := hostinfo.InfoWithContext(ctx)
	if err != nil {
		return nil, err
	}
	v := event.Inventory{
		Device: t.Device, Name: info.Hostname,
		Description: strings.TrimSpace(fmt.Sprintf("%s %s %s", info.OS, info.KernelVersion, info.KernelArch)),
		OS:          strings.TrimSpace(info.Platform + " " + info.PlatformVersion),
		Model:       sys("class/dmi/id/product_name"),
		Serial:      sys("class/dmi/id/product_serial"), // readable for root only
	}
	if at, ok := booted(info.BootTime); ok {
		v.BootTime = &at
	}
	for _, look := range []func(context.Context) ([]event.Component, error){cpus, memory, disks} {
		components, err := look(ctx)
		if err != nil {
			return nil, err
		}
		v.Components = append(v.Components, components...)
	}
	return []event.Event{collect.State(t.Device, event.TypeInventory, v)}, nil
}

// maxBoot is the last boot time that a message can carry, in Unix seconds.
const maxBoot = 253402300799 // the end of the year 9999

// booted reads a boot time in Unix seconds; ok is false for what is none.
func booted(unix uint64) (at time.Time, ok bool) {
	if unix == 0 || unix > maxBoot {
		return time.Time{}, false
	}
	return time.Unix(int64(unix), 0).UTC(), true
}

// sys reads a file below /sys (HOST_SYS in a container), "" when it cannot.
func sys(name string) string {
	root := os.Getenv("HOST_SYS")
	if root == "" {
		root = "/sys"
	}
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// cpus are the processors, one for each socket, with their threads counted.
func cpus(ctx context.Context) ([]event.Component, error) {
	list, err := cpu.InfoWithContext(ctx)
	if err != nil {
		return nil, err
	}
	type socket struct {
		model   string
		threads int
	}
	sockets := map[string]socket{}
	for _, c := range list {
		id := c.PhysicalID
		if id == "" {
			id = "0"
		}
		s := sockets[id]
		sockets[id] = socket{model: c.ModelName, threads: s.threads + 1}
	}
	var out []event.Component
	for id, s := range sockets {
		out = append(out, event.Component{Index: "cpu/" + id, Class: "cpu",
			Name: fmt.Sprintf("%d threads", s.threads), Model: s.model})
	}
	slices.SortFunc(out, byIndex)
	return out, nil
}

func byIndex(a, b event.Component) int { return strings.Compare(a.Index, b.Index) }

func memory(ctx context.Context) ([]event.Component, error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return []event.Component{{Index: "memory", Class: "memory", Bytes: m.Total}}, nil
}

// maxDiskName is how many bytes of a device's name an index may hold; long
// names of logical volumes differ at their end.
const maxDiskName = 56

// disks are the file systems on real devices, each device once, by where it is
// mounted first. A machine without any (a container) has none.
func disks(ctx context.Context) ([]event.Component, error) {
	list, err := disk.PartitionsWithContext(ctx, false)
	if err != nil && len(list) == 0 {
		return nil, err
	}
	mounts := map[string]string{}
	for _, p := range list {
		at, again := mounts[p.Device]
		if !again || len(p.Mountpoint) < len(at) || len(p.Mountpoint) == len(at) && p.Mountpoint < at {
			mounts[p.Device] = p.Mountpoint
		}
	}
	var out []event.Component
	for device, at := range mounts {
		usage, err := disk.UsageWithContext(ctx, at)
		if err != nil || usage.Total == 0 {
			continue // a mount that went away while we looked, or nothing in it
		}
		serial, _ := disk.SerialNumberWithContext(ctx, device) // not every disk tells
		name := filepath.Base(device)
		name = name[max(0, len(name)-maxDiskName):]
		out = append(out, event.Component{Index: "disk/" + name, Class: "disk",
			Name: device + " on " + at, Serial: serial, Bytes: usage.Total})
	}
	slices.SortFunc(out, byIndex)
	return out, nil
}
