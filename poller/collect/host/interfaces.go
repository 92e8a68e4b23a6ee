package host

import (
	"context"
	"net"
	"strconv"
	"strings"

	psnet "github.com/shirou/gopsutil/v4/net"

	"midplane/event"
	"midplane/poller/collect"
)

// ofContainers begins the names of the interfaces that a container engine
// makes and removes with every container. There is no end of them and nothing
// in them that the containers' bridge does not show.
const ofContainers = "veth"

func interfaces(ctx context.Context, t collect.Target) ([]event.Event, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	counted, err := psnet.IOCountersWithContext(ctx, true)
	if err != nil {
		return nil, err
	}
	counters := make(map[string]psnet.IOCountersStat, len(counted))
	for _, c := range counted {
		counters[c.Name] = c
	}
	var out []event.Event
	for _, i := range list {
		if strings.HasPrefix(i.Name, ofContainers) {
			continue
		}
		index := strconv.Itoa(i.Index)
		entity := t.Device.Interface(index)
		out = append(out, collect.State(entity, event.TypeInterface, event.Interface{
			Device: t.Device, Index: index, Name: i.Name, Alias: sys("class/net/" + i.Name + "/ifalias"),
			AdminStatus: admin(i.Flags), OperStatus: oper(i), Speed: speed(i.Name),
			MTU: uint64(max(i.MTU, 0)), MAC: i.HardwareAddr.String(),
		}))
		if c, ok := counters[i.Name]; ok {
			out = append(out, collect.Metric(entity, event.TypeCounters, event.Counters{
				InOctets: c.BytesRecv, OutOctets: c.BytesSent, InPackets: c.PacketsRecv, OutPackets: c.PacketsSent,
				InErrors: c.Errin, OutErrors: c.Errout, InDiscards: c.Dropin, OutDiscards: c.Dropout,
			}))
		}
	}
	return out, nil
}

func admin(f net.Flags) string {
	if f&net.FlagUp != 0 {
		return "up"
	}
	return "down"
}

// oper is the kernel's operational status in IF-MIB's words. Drivers that do
// not keep one (loopback, tunnels) say "unknown" although they run.
func oper(i net.Interface) string {
	running := i.Flags&net.FlagRunning != 0
	switch state := sys("class/net/" + i.Name + "/operstate"); state {
	case "down", "dormant", "testing":
		return state
	case "lowerlayerdown":
		return "lowerLayerDown"
	case "notpresent":
		return "notPresent"
	}
	if running {
		return "up"
	}
	return "down"
}

// maxMbit is the fastest that a driver is believed, in Mbit/s.
const maxMbit = 1 << 31

// speed is in bits per second, 0 when the driver knows none (virtual ones say -1).
func speed(name string) uint64 { return bits(sys("class/net/" + name + "/speed")) }

// bits reads Mbit/s as bit/s, 0 for what cannot be.
func bits(text string) uint64 {
	mbit, err := strconv.ParseInt(text, 10, 64)
	if err != nil || mbit <= 0 || mbit > maxMbit {
		return 0
	}
	return uint64(mbit) * 1_000_000
}
