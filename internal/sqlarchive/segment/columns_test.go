package segment

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// What is packed is what comes out, for any keys in order and any terms.
func TestColumnsPack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		first := rng.Int64N(1<<40) << SerialBits
		made, k := new(Columns), first
		var rows []*Row
		for range rng.IntN(300) {
			switch rng.IntN(4) {
			case 0:
				k++
			case 1:
				k += 1 + rng.Int64N(1<<SerialBits)
			case 2:
				k = (k>>SerialBits + 1 + rng.Int64N(5000)) << SerialBits
			case 3:
				k = (k>>SerialBits+rng.Int64N(10_000_000))<<SerialBits + 1<<SerialBits - 1
			}
			list := func() (ids []int64) {
				for range rng.IntN(4) {
					ids = append(ids, 1+int64(rng.Uint32()>>(1+rng.IntN(31))))
				}
				return ids
			}
			r := &Row{K: k, Topic: rng.Int64N(200), Category: rng.Int64N(200), Agent: math.MaxUint32 - rng.Int64N(2), Users: list(), Packages: list(), Objects: list()}
			rows = append(rows, r)
			made.appendRow(r)
		}
		got, err := new(Columns), error(nil)
		if got.Keys, err = unpackKeys(nil, first, len(rows), appendKeys(nil, first, made.Keys)); err != nil || !slices.Equal(got.Keys, made.Keys) {
			t.Fatalf("keys %v\n = %v, %v", made.Keys, got.Keys, err)
		}
		for _, kind := range allColumns {
			if err := got.of[kind].unpack(len(rows), isList(kind), made.of[kind].pack(isList(kind))); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range rows {
			if r := got.row(i); !reflect.DeepEqual(r, want) {
				t.Fatalf("row %d = %+v, want %+v", i, r, want)
			}
		}
	}
}

// Late rows come to their places, and a row that is there is replaced.
func TestColumnsMerge(t *testing.T) {
	row := func(k, topic int64) *Row { return &Row{K: k, Topic: topic, Users: []int64{k, topic}} }
	made := new(Columns)
	for _, rows := range [][]*Row{{row(5, 1), row(9, 1)}, {row(10, 2)}, {row(1, 3), row(9, 3), row(11, 3)}, {row(11, 4)}} {
		made = merge(made, rows)
	}
	want := []*Row{row(1, 3), row(5, 1), row(9, 3), row(10, 2), row(11, 4)}
	for i, w := range want {
		if len(made.Keys) != len(want) || !reflect.DeepEqual(made.row(i), w) {
			t.Fatalf("row %d of %d = %+v, want %+v", i, len(made.Keys), made.row(i), w)
		}
	}
}

// FuzzColumns holds for any bytes: what cannot be unpacked is an error.
func FuzzColumns(f *testing.F) {
	f.Add(3, []byte{1, 2, 3, 4, 5, 6})
	f.Add(2, []byte{0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1, 1})
	f.Fuzz(func(t *testing.T, n int, src []byte) {
		n = min(max(n, 0), chunkSize)
		var c column
		for _, list := range []bool{false, true} {
			if err := c.unpack(n, list, src); err == nil && (!list && len(c.ids) != n || list && len(c.ends) != n) {
				t.Fatalf("unpack(%d, %v, %x) = %d ids, %d ends", n, list, src, len(c.ids), len(c.ends))
			}
		}
		if keys, err := unpackKeys(nil, 0, n, src); err == nil && len(keys) != n {
			t.Fatalf("unpackKeys(%d, %x) = %d keys", n, src, len(keys))
		}
	})
}

// BenchmarkColumns unpacks one full chunk: keys a second apart, topics of one byte, and
// two users a message.
func BenchmarkColumns(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	made := new(Columns)
	for i := range int64(chunkSize) {
		made.appendRow(&Row{K: (i*1000 + rng.Int64N(1000)) << SerialBits, Topic: rng.Int64N(113), Users: []int64{rng.Int64N(6000), rng.Int64N(6000)}})
	}
	keys, topics, users := appendKeys(nil, 0, made.Keys), made.of[TopicKind].pack(false), made.of[UserKind].pack(true)
	b.Run("keys", func(b *testing.B) {
		var dst []int64
		for b.Loop() {
			dst, _ = unpackKeys(dst, 0, chunkSize, keys)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunkSize, "ns/message")
	})
	for name, of := range map[string]struct {
		list bool
		src  []byte
	}{"topics": {false, topics}, "users": {true, users}} {
		b.Run(name, func(b *testing.B) {
			var c column
			for b.Loop() {
				_ = c.unpack(chunkSize, of.list, of.src)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunkSize, "ns/message")
		})
	}
}
