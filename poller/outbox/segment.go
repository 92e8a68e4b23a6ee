package outbox

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"os"
	"time"

	"midplane/event"
	"midplane/fault"
)

// A segment is one file of what is kept: blocks, each with a header in front and
// compressed. It is written at its end only, and not synced: a torn end is passed over.
type segment struct {
	path   string
	blocks []block
	size   int64
	began  time.Time
	last   time.Time // when it was last written
}

// block is where one is, and what it has.
type block struct {
	header blockHeader
	at     int64 // of what follows the header
}

// blockHeader is in front of each block: how long it is, its checksum, and the lowest
// and highest sequence of each lane, 0 when it has none.
type blockHeader struct {
	Magic         uint32
	Length        uint32 // of what follows, compressed
	Sum           uint32 // CRC-32 of that
	Lowest, Upper [lanes]uint64
}

const blockMagic = 0x6d706b31

var headerSize = int64(binary.Size(blockHeader{}))

// keptEvent is one message as a block has it.
type keptEvent struct {
	Lane     lane            `json:"l"`
	Seq      uint64          `json:"q"`
	Time     int64           `json:"t"` // unix nanoseconds
	Severity event.Severity  `json:"s,omitempty"`
	Entity   event.Entity    `json:"e"`
	Type     event.Type      `json:"y"`
	Parent   string          `json:"p,omitempty"`
	State    string          `json:"c,omitempty"`
	Data     json.RawMessage `json:"d"`
}

// readSegment reads the headers of a file's blocks, as far as they are whole.
func readSegment(path string) *segment {
	s := &segment{path: path}
	f, err := os.Open(path)
	if err != nil {
		return s
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return s
	}
	s.began, s.last = info.ModTime(), info.ModTime()
	for {
		var h blockHeader
		err := binary.Read(io.NewSectionReader(f, s.size, headerSize), binary.BigEndian, &h)
		if err != nil || h.Magic != blockMagic || s.size+headerSize+int64(h.Length) > info.Size() {
			return s
		}
		s.add(h)
	}
}

func (s *segment) add(h blockHeader) {
	s.blocks = append(s.blocks, block{h, s.size + headerSize})
	s.size += headerSize + int64(h.Length)
}

// write appends a block.
func (s *segment) write(now time.Time, h blockHeader, body []byte) error {
	var head bytes.Buffer
	if err := binary.Write(&head, binary.BigEndian, h); err != nil {
		return err
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(append(head.Bytes(), body...), s.size)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		s.add(h)
		s.last = now
	}
	return err
}

// pack makes a block of events.
func pack(events []event.Event) (h blockHeader, body []byte, err error) {
	var b bytes.Buffer
	z, _ := flate.NewWriter(&b, flate.BestSpeed) // the level is one
	enc := json.NewEncoder(z)
	h.Magic = blockMagic
	for i := range events {
		e := &events[i]
		l, _ := laneOf(e.Kind)
		if h.Lowest[l] == 0 || e.Sequence < h.Lowest[l] {
			h.Lowest[l] = e.Sequence
		}
		h.Upper[l] = max(h.Upper[l], e.Sequence)
		if err := enc.Encode(keptEvent{Lane: l, Seq: e.Sequence, Time: toNano(e.Time), Severity: e.Severity, Entity: e.Entity, Type: e.Type,
			Parent: e.TraceParent, State: e.TraceState, Data: e.Data}); err != nil {
			return h, nil, err
		}
	}
	if err := z.Close(); err != nil {
		return h, nil, err
	}
	h.Length, h.Sum = uint32(b.Len()), crc32.ChecksumIEEE(b.Bytes())
	return h, b.Bytes(), nil
}

// read calls each for every message of a block.
func (s *segment) read(b block, each func(*keptEvent)) error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	body := make([]byte, b.header.Length)
	if _, err := f.ReadAt(body, b.at); err != nil {
		return err
	}
	if crc32.ChecksumIEEE(body) != b.header.Sum {
		return fault.New(fault.Other, "a block of %s is damaged", s.path)
	}
	dec := json.NewDecoder(flate.NewReader(bytes.NewReader(body)))
	for {
		var e keptEvent
		if err := dec.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		each(&e)
	}
}
