// Package packing makes what an archive stores small: messages by zstd with dictionaries,
// and columns of numbers.
package packing

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/dict"
	"github.com/klauspost/compress/zstd"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// ErrDamaged: what is stored is not what was written.
var ErrDamaged = errors.New("the archive is damaged")

// How the body of a message is stored: the column enc. Numbers from firstDict on
// are zstd with the dictionary of that number.
const (
	encRaw    = 0
	encPlain  = 1 // zstd without a dictionary
	firstDict = 2
)

// Dictionaries are trained on TrainCount messages of at most TrainSize bytes.
// They take a third of the room that messages of 1 kB need by themselves.
const (
	TrainCount = 1000
	TrainSize  = 16 << 10
	dictSize   = 64 << 10
)

// Train makes a dictionary out of messages.
func Train(id int64, samples [][]byte) (made []byte, err error) {
	defer func() { // the builder divides by what it finds, and may find nothing
		if p := recover(); p != nil {
			err = fmt.Errorf("train a dictionary: %v", p)
		}
	}()
	return dict.BuildZstdDict(samples, dict.Options{MaxDictSize: dictSize, HashBytes: 6, ZstdDictID: uint32(id), ZstdLevel: zstd.SpeedFastest})
}

// A Codec packs and unpacks the messages of one segment. It may be used by many
// goroutines.
type Codec struct {
	mu       sync.RWMutex
	enc      int64 // what pack does
	encoder  *zstd.Encoder
	decoders map[int64]*zstd.Decoder
	dicts    map[int64][]byte
}

// New returns a codec that has no dictionary yet.
func New() *Codec {
	return &Codec{enc: encPlain, decoders: make(map[int64]*zstd.Decoder), dicts: make(map[int64][]byte)}
}

// Add makes a dictionary known, for packing from now on.
func (c *Codec) Add(id int64, bytes []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dicts[id] = bytes
	c.enc, c.encoder = id, nil
}

// Next returns a number for a dictionary to come.
func (c *Codec) Next() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return max(c.enc+1, firstDict)
}

// Dictionary returns what pack uses; nil if that is none.
func (c *Codec) Dictionary() []byte {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.dicts[c.enc]
}

func (c *Codec) packer() (int64, *zstd.Encoder, error) {
	c.mu.RLock()
	enc, e := c.enc, c.encoder
	c.mu.RUnlock()
	if e != nil {
		return enc, e, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	options := []zstd.EOption{zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(true), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true)}
	if d := c.dicts[c.enc]; d != nil {
		options = append(options, zstd.WithEncoderDict(d))
	}
	var err error
	if c.encoder == nil {
		c.encoder, err = zstd.NewWriter(nil, options...)
	}
	return c.enc, c.encoder, err
}

// Pack returns how a message was packed, and its bytes.
func (c *Codec) Pack(raw []byte) (int64, []byte, error) {
	enc, e, err := c.packer()
	if err != nil {
		return 0, nil, err
	}
	if packed := e.EncodeAll(raw, make([]byte, 0, len(raw)/2)); len(packed) < len(raw) {
		return enc, packed, nil
	}
	return encRaw, raw, nil
}

// Unpack returns the bytes of a message. They are its own.
func (c *Codec) Unpack(enc int64, packed []byte) ([]byte, error) {
	if enc == encRaw {
		return append([]byte(nil), packed...), nil
	}
	c.mu.RLock()
	d, bytes := c.decoders[enc], c.dicts[enc]
	c.mu.RUnlock()
	if d == nil {
		if enc >= firstDict && bytes == nil {
			return nil, fmt.Errorf("dictionary %d is missing: %w", enc, ErrDamaged)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		// The size of a message is bound by the gate, but imports have no bound.
		options := []zstd.DOption{zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(1 << 30)}
		if bytes != nil {
			options = append(options, zstd.WithDecoderDicts(bytes))
		}
		var err error
		if d, err = zstd.NewReader(nil, options...); err != nil {
			return nil, err
		}
		c.decoders[enc] = d
	}
	raw, err := d.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return raw, nil
}

// Decode returns the message in a row.
func (c *Codec) Decode(enc int64, packed []byte) (*fedmsg.Message, error) {
	raw, err := c.Unpack(enc, packed)
	if err != nil {
		return nil, err
	}
	m, err := fedmsg.DecodeStored(raw)
	if err != nil {
		// Imports are older than our rules.
		if m, err = fedmsg.DecodeHistory(raw); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return m, nil
}
