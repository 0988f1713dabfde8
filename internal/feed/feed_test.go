package feed

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/pace"
)

// openText opens a feeder over a text.
func openText(t testing.TB, name, text string, def Definition) (*Feed, error) {
	t.Helper()
	def.Name, def.File, def.Folder = "rows", name, fstest.MapFS{name: {Data: []byte(text)}}
	return Open(def, pace.Segment{})
}

// openFile opens a feeder over a file of a folder.
func openFile(def Definition, folder fs.FS) (*Feed, error) {
	def.Folder = folder
	return Open(def, pace.Segment{})
}

// fields reads a row and returns its fields.
func fields(t testing.TB, f *Feed, number int64) []string {
	t.Helper()
	var row Row
	require.NoError(t, f.read(number, &row))
	out := make([]string, len(row.ends))
	for i := range out {
		out[i] = string(row.Field(i))
	}
	return out
}

func TestFeederReadsCSV(t *testing.T) {
	f, err := openText(t, "u.csv", "\uFEFFname, note\r\nada,\"a \"\"b\"\", c\"\r\n\r\nbruno,\"two\nlines\"\n,\n\"\",last", Definition{})
	require.NoError(t, err)
	assert.Equal(t, []string{"name", "note"}, f.Columns)
	assert.EqualValues(t, 4, f.Rows)
	assert.Equal(t, []string{"ada", `a "b", c`}, fields(t, f, 0))
	assert.Equal(t, []string{"bruno", "two\nlines"}, fields(t, f, 1))
	assert.Equal(t, []string{"", ""}, fields(t, f, 2))
	assert.Equal(t, []string{"", "last"}, fields(t, f, 3))

	f, err = openText(t, "u.tsv", "a\tb\n1,5\t2\n", Definition{})
	require.NoError(t, err)
	assert.Equal(t, []string{"1,5", "2"}, fields(t, f, 0))
	f, err = openText(t, "u.txt", "a;b\n1,5;2\n", Definition{Format: "csv", Delimiter: ';'})
	require.NoError(t, err)
	assert.Equal(t, []string{"1,5", "2"}, fields(t, f, 0))
}

func TestFeederReadsJSONLines(t *testing.T) {
	f, err := openText(t, "u.jsonl", "{\"n\": 1, \"o\": {\"a\": [true, \"x\"]}}\n \n{\"n\": 2.5}\r\n", Definition{})
	require.NoError(t, err)
	assert.EqualValues(t, 2, f.Rows)
	row := &Row{}
	require.NoError(t, f.read(0, row))
	assert.Equal(t, "1", row.Get("n"))
	assert.JSONEq(t, `{"a":[true,"x"]}`, row.Get("o"))
	assert.Empty(t, row.Get("none"))
	require.NoError(t, f.read(1, row))
	v, err := row.Value()
	require.NoError(t, err)
	assert.Equal(t, 2.5, v["n"])
	assert.EqualValues(t, 1, row.Number)
}

// Mistakes in a file have their place.
func TestFeederFaults(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"u.csv", "", "u.csv:1:1: the file is empty: expected a first line that names the columns"},
		{"u.csv", "a,b\n", "u.csv:1:1: there are no rows"},
		{"u.csv", "a,,b\n1,2,3\n", "u.csv:1:1: column 2 has no name: the first line names the columns"},
		{"u.csv", "a,b,a\n1,2,3\n", `u.csv:1:1: two columns are named "a"`},
		{"u.csv", "a,b\n1,2\n\n1,2,3\n", "u.csv:4:1: expected 2 columns, as in the first line, found 3"},
		{"u.csv", "a,b\n\"x\ny\",2\n1\n", "u.csv:4:1: expected 2 columns, as in the first line, found 1"},
		{"u.csv", "a,b\né,5\" disk\"\n", "u.csv:2:4: a quotation mark in a field that does not begin with one; put the field in quotes, and write \"\" for a \""},
		{"u.csv", "a,b\n1,\"x\"y\"\"\n", "u.csv:2:6: expected the end of the field after its closing quotation mark; within a field, write \"\" for a \""},
		{"u.csv", "a,b\n1,\"x\n2,3\n", "u.csv:2:3: this quotation mark is not closed"},
		{"u.jsonl", "{}\n[1]\n", `u.jsonl:2:1: expected a JSON object such as {"name": "ada"}, found "[1]"`},
		{"u.jsonl", "{}\n\n{\"a\": tru}\n", "u.jsonl:3:10: not a JSON object: invalid character '}' in literal true (expecting 'e')"},
		{"u.jsonl", "{} {}\n", "u.jsonl:1:4: not a JSON object: invalid character '{' after top-level value"},
		{"u.jsonl", "\n", "u.jsonl:1:1: there are no rows"},
		{"u.csv", "name,x\nada,1\nM\xfcller,2\n", `u.csv:3:2: the byte 0xfc is not UTF-8 text; in Windows-1252 (Latin-1) it is 'ü': save the file as UTF-8, or convert it with iconv -f WINDOWS-1252 -t UTF-8`},
		{"u.csv", "name\n\"5\n\x80\"\n", `u.csv:3:1: the byte 0x80 is not UTF-8 text; in Windows-1252 (Latin-1) it is '€': save the file as UTF-8, or convert it with iconv -f WINDOWS-1252 -t UTF-8`},
		{"u.csv", "a\n\x81\n", "u.csv:2:1: the byte 0x81 is not UTF-8 text"},
		{"u.csv", "gr\xf6\xdfe\n1\n", `u.csv:1:3: the byte 0xf6 is not UTF-8 text; in Windows-1252 (Latin-1) it is 'ö': save the file as UTF-8, or convert it with iconv -f WINDOWS-1252 -t UTF-8`},
		{"u.csv", "größe\nM\xfcller\n", "u.csv:2:2: the byte 0xfc is not UTF-8 text, which the file before it is"},
		{"u.csv", "a\né\xc3\n", "u.csv:2:2: the byte 0xc3 is not UTF-8 text, which the file before it is"},
		{"u.csv", "\xff\xfea\x00\n\x001\x00\n\x00", "u.csv:1:4: expected UTF-8 text, found what looks like UTF-16: save the file as UTF-8, or convert it with iconv -f UTF-16 -t UTF-8"},
		{"u.csv", "\x00a\x00\n\x001\x00\n", "u.csv:1:1: expected UTF-8 text, found what looks like UTF-16: save the file as UTF-8, or convert it with iconv -f UTF-16 -t UTF-8"},
		{"u.jsonl", "{\"n\": \"M\xfcller\"}\n", `u.jsonl:1:9: the byte 0xfc is not UTF-8 text; in Windows-1252 (Latin-1) it is 'ü': save the file as UTF-8, or convert it with iconv -f WINDOWS-1252 -t UTF-8`},
		{"u.csv", "a\n" + strings.Repeat("x", maxRowLen+2) + "\n", "u.csv:2:1: the row is longer than 1048576 bytes"},
	} {
		_, err := openText(t, c.name, c.text, Definition{})
		assert.EqualError(t, err, c.want)
	}
	for _, c := range []struct {
		def  Definition
		want string
	}{
		{Definition{File: "a.txt"}, "does not tell its format"},
		{Definition{File: "a.txt", Format: "xml"}, "expected the format csv or jsonl"},
		{Definition{File: "../a.csv"}, "without .."},
		{Definition{File: "/a.csv"}, "without .."},
		{Definition{File: "a\\b.csv"}, "without .."},
		{Definition{File: "a.csv", Delimiter: '"'}, "expected one character"},
		{Definition{File: "a.jsonl", Delimiter: ';'}, "JSON lines have no delimiter"},
		{Definition{File: "a.csv", Order: "any"}, "sequential, random or unique"},
		{Definition{File: "a.csv", AtEnd: "wrap"}, "cycle or stop"},
		{Definition{File: "a.csv", Order: orderRandom, AtEnd: atEndStop}, "no end to stop at"},
		{Definition{File: "none.csv"}, "none.csv: there is no such file in the scenario's folder"},
	} {
		_, err := openFile(c.def, fstest.MapFS{})
		assert.ErrorContains(t, err, c.want)
	}
	_, err := openFile(Definition{File: "a.csv"}, nil)
	assert.ErrorContains(t, err, "was not read from a folder")
}

// Links lead anywhere within the folder, and nowhere else.
func TestFolderKeepsWithin(t *testing.T) {
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret.csv"), []byte("a\n1\n"), 0o600))
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data", "deep"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "u.csv"), []byte("a\n1\n"), 0o600))
	for link, to := range map[string]string{
		"near.csv": "data/u.csv", "data/deep/up.csv": "../u.csv", "folder": "data", "loop.csv": "loop.csv",
		"abs.csv": filepath.Join(outside, "secret.csv"), "out": outside,
		"climb.csv": "../" + filepath.Base(outside) + "/secret.csv", "data/climb.csv": "../../x.csv",
	} {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, filepath.FromSlash(link))))
	}
	folder := os.DirFS(dir)
	for _, name := range []string{"data/u.csv", "near.csv", "data/deep/up.csv", "folder/u.csv", "folder/deep/up.csv"} {
		_, err := ReadIn(folder, name, 100)
		assert.NoError(t, err, name)
	}
	for name, want := range map[string]string{
		"abs.csv": "leads out", "out/secret.csv": "leads out", "climb.csv": "leads out", "data/climb.csv": "leads out",
		"loop.csv": "too many", "data": "not a regular file", "../x": "without ..", "none": "no such file",
	} {
		_, err := ReadIn(folder, name, 100)
		assert.ErrorContains(t, err, want, name)
	}
	_, err := ReadIn(folder, "data/u.csv", 3)
	assert.ErrorContains(t, err, "larger than 3 bytes")
}

// Every row is found, however coarse the index has become.
func TestFeederIndexHalves(t *testing.T) {
	const rows = 3*maxFeedOffsets + 17
	var text bytes.Buffer
	text.WriteString("n\n")
	for i := range rows {
		fmt.Fprintf(&text, "%d\n", i)
		if i%1000 == 0 {
			text.WriteString("\n") // blank lines do not count
		}
	}
	f, err := openText(t, "u.csv", text.String(), Definition{})
	require.NoError(t, err)
	assert.EqualValues(t, rows, f.Rows)
	assert.LessOrEqual(t, len(f.offsets), maxFeedOffsets)
	assert.EqualValues(t, 4, f.stride)
	for range 2000 {
		i := rand.Int64N(rows)
		require.Equal(t, []string{fmt.Sprint(i)}, fields(t, f, i))
	}
	assert.Equal(t, []string{fmt.Sprint(rows - 1)}, fields(t, f, rows-1))
}

// A file of a million rows costs half a megabyte of memory, and no allocation per row.
func TestFeederOfAMillionRows(t *testing.T) {
	const rows = 1_000_000
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "users.csv"))
	require.NoError(t, err)
	var text bytes.Buffer
	text.WriteString("id,name,email\n")
	for i := range rows {
		fmt.Fprintf(&text, "%d,user number %d,\"user%d@shop.example\"\n", i, i, i)
	}
	_, err = file.Write(text.Bytes())
	require.NoError(t, err)
	require.NoError(t, file.Close())
	size := text.Len()
	text = bytes.Buffer{}

	before := heap()
	f, err := openFile(Definition{File: "users.csv"}, os.DirFS(dir))
	require.NoError(t, err)
	defer f.Close()
	row := &Row{}
	read := func(number int64) {
		require.NoError(t, f.read(number, row))
		require.Equal(t, fmt.Sprint(number), string(row.Field(0)))
		require.Equal(t, fmt.Sprintf("user%d@shop.example", number), string(row.Field(2)))
	}
	for range 10_000 {
		n, err := f.choose(nil, 0)
		require.NoError(t, err)
		read(n)
		read(rand.Int64N(rows))
	}
	used := int64(heap()) - int64(before)
	t.Logf("%d rows in %d bytes: %d bytes of memory", rows, size, used)
	assert.Less(t, used, int64(2<<20), "bytes of memory for a file of %d", size)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		n, _ := f.choose(nil, 0)
		if err := f.read(n, row); err != nil {
			t.Fatal(err)
		}
	}))
	runtime.KeepAlive(f)
}

// What a row costs: from a file of 200,000 rows, in order and at random; and what it
// costs to look through that file when a job starts.
func BenchmarkFeeder(b *testing.B) {
	const rows = 200_000
	dir := b.TempDir()
	var text bytes.Buffer
	text.WriteString("id,name,email\n")
	for i := range rows {
		fmt.Fprintf(&text, "%d,user number %d,\"user%d@shop.example\"\n", i, i, i)
	}
	require.NoError(b, os.WriteFile(filepath.Join(dir, "users.csv"), text.Bytes(), 0o600))
	open := func(b *testing.B) *Feed {
		f, err := openFile(Definition{File: "users.csv"}, os.DirFS(dir))
		require.NoError(b, err)
		b.Cleanup(f.Close)
		return f
	}
	for name, next := range map[string]func(f *Feed, r *rand.Rand) int64{
		"sequential": func(f *Feed, _ *rand.Rand) int64 { n, _ := f.choose(nil, 0); return n },
		"random":     func(_ *Feed, r *rand.Rand) int64 { return r.Int64N(rows) },
	} {
		b.Run(name, func(b *testing.B) {
			f, row, r := open(b), &Row{}, rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				if err := f.read(next(f, r), row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("start", func(b *testing.B) {
		b.SetBytes(int64(text.Len()))
		for b.Loop() {
			open(b)
		}
	})
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestFeederNoticesAChangedFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "u.csv")
	require.NoError(t, os.WriteFile(name, []byte("a,b\n"+strings.Repeat("1,2\n", maxFeedInline/4+1)), 0o600))
	f, err := openFile(Definition{File: "u.csv"}, os.DirFS(dir))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.WriteFile(name, []byte("a\n1\n"), 0o600))
	err = f.read(f.Rows-1, &Row{})
	assert.ErrorContains(t, err, "u.csv")
	assert.NoError(t, os.WriteFile(name, []byte("a,b\n"+strings.Repeat("1;2\n", maxFeedInline/4+1)), 0o600))
	assert.ErrorContains(t, f.read(5, &Row{}), "has changed since the job started")
}

func TestFeederOrders(t *testing.T) {
	text := "n\n0\n1\n2\n"
	draw := func(f *Feed, vu, n int) (out []int64, err error) {
		r := rand.New(rand.NewPCG(1, uint64(vu)))
		for range n {
			var i int64
			if i, err = f.choose(r, vu); err != nil {
				return out, err
			}
			out = append(out, i)
		}
		return out, nil
	}
	for _, c := range []struct {
		def  Definition
		id   int
		want []int64
		end  bool
	}{
		{Definition{}, 0, []int64{0, 1, 2, 0, 1}, false},
		{Definition{AtEnd: atEndStop}, 0, []int64{0, 1, 2}, true},
		{Definition{Order: orderUnique}, 2, []int64{2, 2, 2, 2, 2}, false},
		{Definition{Order: orderUnique}, 3, nil, true},
		{Definition{Order: orderUnique, AtEnd: atEndCycle}, 4, []int64{1, 1, 1, 1, 1}, false},
	} {
		f, err := openText(t, "u.csv", text, c.def)
		require.NoError(t, err)
		got, err := draw(f, c.id, 5)
		assert.Equal(t, c.want, got)
		assert.Equal(t, c.end, errors.Is(err, ErrNoMoreRows), "%v", err)
	}
	f, err := openText(t, "u.csv", text, Definition{Order: orderRandom})
	require.NoError(t, err)
	a, err := draw(f, 7, 50)
	require.NoError(t, err)
	b, err := draw(f, 7, 50)
	require.NoError(t, err)
	assert.Equal(t, a, b, "the same seed draws the same rows")
	assert.Subset(t, a, []int64{0, 1, 2})
}

// Rows in order are given out once by all segments together, and unique ones belong to
// one VU of all.
func TestSegmentsOfAFeeder(t *testing.T) {
	text := "n\n"
	const rows = 23
	for range rows {
		text += "x\n"
	}
	folder := fstest.MapFS{"u.csv": &fstest.MapFile{Data: []byte(text)}}
	open := func(order string, s pace.Segment) *Feed {
		f, err := Open(Definition{Name: "u", File: "u.csv", Folder: folder, Order: order, AtEnd: atEndStop}, s)
		require.NoError(t, err)
		return f
	}
	for _, n := range []int{1, 2, 5, 23, 30} {
		sequential, unique := make([]int, rows), make([]int, rows)
		for i := range n {
			s := pace.Segment{Index: i + 1, Count: n}
			f := open(orderSequential, s)
			for {
				i, err := f.choose(nil, 0)
				if err != nil {
					require.ErrorIs(t, err, ErrNoMoreRows)
					break
				}
				sequential[i]++
			}
			f = open(orderUnique, s)
			for seat := range s.Share(rows) {
				i, err := f.choose(nil, s.Number(seat))
				require.NoError(t, err)
				unique[i]++
			}
		}
		once := slices.Repeat([]int{1}, rows)
		assert.Equal(t, once, sequential, "%d segments", n)
		assert.Equal(t, once, unique, "%d segments", n)
	}
}

// What encoding/csv reads, we read alike; and what we read, it does.
func FuzzFeederCSV(f *testing.F) {
	f.Add("a,b\n1,2\n")
	f.Add("a,b\r\n\"x \"\"y\"\", z\",\"two\nlines\"\n\n,\n")
	f.Add("\uFEFFa\n\"\"\n")
	f.Add("a,b\n5\" disk,2\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := openText(t, "u.csv", text, Definition{})
		r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\uFEFF")))
		want, oracle := r.ReadAll()
		if err != nil {
			var fault *rowsFault
			require.ErrorAs(t, err, &fault)
			require.GreaterOrEqual(t, fault.column, 1)
			return
		}
		// A lone carriage return, and one before a line break in quotes, is text to us.
		if strings.Contains(text, "\r") {
			return
		}
		require.NoError(t, oracle)
		require.EqualValues(t, len(want)-1, got.Rows)
		for i := range want[1:] {
			require.Equal(t, want[i+1], fields(t, got, int64(i)))
		}
	})
}

func FuzzFeederJSONLines(f *testing.F) {
	f.Add("{\"a\": 1}\n\n{\"b\": [\"x\\n\"]}")
	f.Add("{}\r\n[1]\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := openText(t, "u.jsonl", text, Definition{})
		if err != nil {
			return
		}
		for i := range got.Rows {
			row := &Row{}
			require.NoError(t, got.read(i, row))
			_, err := row.Value()
			require.NoError(t, err)
		}
	})
}
