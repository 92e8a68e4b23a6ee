package console

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"

	"midplane/api"
	"midplane/console/access"
)

// The positions of events count over all tenants: from those of its own, a
// confined viewer could count everybody else's. It gets them shuffled, by a
// permutation of 52 bits (which a JSON number holds exactly) under a key of
// this console and the tenant's name. They are good for "after", and for
// nothing else. The key is kept with the users, so that a position outlives a
// restart.

const (
	halfBits  = 26
	halfMask  = 1<<halfBits - 1
	maxPlain  = 1<<(2*halfBits) - 1
	shuffling = 6 // rounds
)

// shuffle is a Feistel network; back undoes it. 0, which means "from the
// start", stays what it is.
func shuffle(key []byte, tenant string, n uint64, back bool) uint64 {
	if n == 0 || n > maxPlain {
		return n
	}
	for {
		left, right := n>>halfBits, n&halfMask
		for i := range byte(shuffling) {
			if back {
				left, right = right^round(key, tenant, shuffling-1-i, left), left
			} else {
				left, right = right, left^round(key, tenant, i, right)
			}
		}
		if n = left<<halfBits | right; n != 0 {
			return n
		}
	}
}

func round(key []byte, tenant string, i byte, half uint64) uint64 {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte{i})
	mac.Write(binary.BigEndian.AppendUint64(nil, half))
	mac.Write([]byte(tenant))
	return uint64(binary.BigEndian.Uint32(mac.Sum(nil))) & halfMask
}

// The positions of changes count over all tenants as well, behind the name of what
// they are positions in.

// positions hides from a confined viewer what counts over all tenants.
type positions struct {
	access *access.Keeper // has the key
}

// hide removes from a row, for a confined viewer, each counter that runs over
// all tenants.
func (p positions) hide(ctx context.Context, row any) error {
	own := only(ctx)
	if own == "" {
		return nil
	}
	switch row := row.(type) {
	case *api.Event:
		key, err := p.access.Key()
		row.Position = shuffle(key, own, row.Position, false)
		return err
	case *api.Tenant:
		row.Revision = 0
	case *api.Poller:
		row.Revision = 0
	}
	return nil
}

// shown is a page's "next" as a confined viewer sees it, and real the position
// that it stands for. Those of events are positions; other lists' name the row.
func (p positions) shown(ctx context.Context, after string) (string, error) {
	return p.turn(ctx, after, false)
}

func (p positions) real(ctx context.Context, after string) (string, error) {
	return p.turn(ctx, after, true)
}

func (p positions) turn(ctx context.Context, after string, back bool) (string, error) {
	own := only(ctx)
	n, err := strconv.ParseUint(after, 10, 63)
	if own == "" || err != nil { // "" and what is no position
		return after, nil
	}
	key, err := p.access.Key()
	return strconv.FormatUint(shuffle(key, own, n, back), 10), err
}

// shownChange is a position of changes as a confined viewer sees it, and realChange
// the one that it stands for.
func (p positions) shownChange(ctx context.Context, position string) (string, error) {
	return p.turnChange(ctx, position, false)
}

func (p positions) realChange(ctx context.Context, position string) (string, error) {
	return p.turnChange(ctx, position, true)
}

func (p positions) turnChange(ctx context.Context, position string, back bool) (string, error) {
	of, number, _ := strings.Cut(position, ".")
	number, err := p.turn(ctx, number, back)
	if position == "" {
		return "", err
	}
	return of + "." + number, err
}
