package apm

// queue is first in, first out.
type queue[T any] struct {
	list []T
	head int
}

func (q *queue[T]) push(x T)   { q.list = append(q.list, x) }
func (q *queue[T]) items() []T { return q.list[q.head:] }
func (q *queue[T]) first() T   { return q.list[q.head] }

func (q *queue[T]) pop() T {
	var zero T
	x := q.list[q.head]
	q.list[q.head] = zero
	q.head++
	if q.head*2 >= len(q.list) {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	return x
}

// maxStrings bounds what an interner keeps. Names beyond it are other.
const maxStrings = 10_000

// maxString is the most bytes of one.
const maxString = 256

// interner has each string once, as a number.
type interner struct {
	numbers map[string]uint32
	texts   []string
}

func newInterner() interner {
	return interner{numbers: map[string]uint32{other: 0}, texts: []string{other}}
}

func (i *interner) of(s string) uint32 {
	s = cutString(s)
	n, ok := i.numbers[s]
	if !ok && len(i.texts) < maxStrings {
		n = uint32(len(i.texts))
		s = string(append([]byte(nil), s...)) // not what it is a part of
		i.numbers[s] = n
		i.texts = append(i.texts, s)
	}
	return n
}

func (i *interner) text(n uint32) string { return i.texts[n] }

func cutString(s string) string { return s[:min(len(s), maxString)] }
