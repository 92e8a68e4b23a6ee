package node

import (
	"crypto/sha256"
	"fmt"
	"os"
	"syscall"

	"midplane/api"
)

// Store returns what the node may store on its disk, and what it does; nothing
// before it has started.
func (n *Node) Store() (out api.Store) {
	srv := n.srv.Load()
	if srv == nil {
		return out
	}
	v, err := srv.Varz(nil)
	if err != nil || v.JetStream.Config == nil || v.JetStream.Stats == nil {
		return out
	}
	out.Limit, out.Used = uint64(max(v.JetStream.Config.MaxStore, 0)), v.JetStream.Stats.Store
	out.DiskFree, out.Disk = disk(n.cfg.Dir)
	return out
}

// disk returns how much of the disk of a folder is free, and which disk it is: by the
// run of the machine's kernel, which containers share, and the device. On "" it is not
// known.
func disk(dir string) (free uint64, id string) {
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) == nil {
		free = fs.Bavail * uint64(fs.Bsize)
	}
	var st syscall.Stat_t
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || syscall.Stat(dir, &st) != nil {
		return free, ""
	}
	sum := sha256.Sum256(fmt.Appendf(boot, "/%d", st.Dev))
	return free, fmt.Sprintf("%x", sum[:8])
}
