package statsd

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Tree is metrics as nested objects, their names split at dots. A leaf is an int (a
// counter), a []int (a timer's milliseconds) or a [json.Number] (a gauge).
type Tree map[string]any

// All is what the StatsD-to-Socket.IO bridge of the suite sends as `all`.
type All struct {
	Gauges   Tree `json:"gauges"`
	Timers   Tree `json:"timers"`
	Counters Tree `json:"counters"`
}

// All returns the interval as nested objects. Where one name is the beginning of
// another, the longer one has the place: the object cannot hold both.
func (v Interval) All() All {
	return All{
		Gauges:   nest(numbers(v.Gauges)),
		Timers:   nest(v.Timers),
		Counters: nest(v.Counters),
	}
}

// Select returns what a subscriber to stat gets under that name, as the suite's bridge
// answers: for `all`, everything; for a path like `counters.molotov.host`, what is
// there; for a path with an asterisk, which stands for the rest of a label, an object
// of the metrics whose names match somewhere. It returns nil if there is nothing.
func (v Interval) Select(stat string) any {
	if stat == "all" {
		return v.All()
	}
	kind, path, _ := strings.Cut(stat, ".")
	var tree Tree
	matches := func(string) bool { return true }
	if strings.Contains(path, "*") {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(path), `\*`, `[\w-]*`)
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil // too long
		}
		matches = re.MatchString
	}
	switch kind {
	case "gauges":
		tree = nest(matching(numbers(v.Gauges), matches))
	case "timers":
		tree = nest(matching(v.Timers, matches))
	case "counters":
		tree = nest(matching(v.Counters, matches))
	default:
		return nil
	}
	if strings.Contains(path, "*") {
		if len(tree) == 0 {
			return nil
		}
		return map[string]Tree{kind: tree}
	}
	if path == "" {
		return tree
	}
	if at := tree.at(path); at != nil || path != molotov {
		return at
	}
	return Tree{} // before the first request, too: the suite's page looks into it
}

// molotov is the first label of the names that the suite's page looks for.
const molotov = "molotov"

// at returns what is at a path, or nil.
func (t Tree) at(path string) any {
	var node any = t
	for label := range strings.SplitSeq(path, ".") {
		inner, ok := node.(Tree)
		if !ok {
			return nil
		}
		if node, ok = inner[label]; !ok {
			return nil
		}
	}
	return node
}

func numbers(gauges map[string]string) map[string]json.Number {
	out := make(map[string]json.Number, len(gauges))
	for name, value := range gauges {
		out[name] = json.Number(value)
	}
	return out
}

func matching[V any](metrics map[string]V, matches func(string) bool) map[string]V {
	out := make(map[string]V, len(metrics))
	for name, value := range metrics {
		if matches(name) {
			out[name] = value
		}
	}
	return out
}

// nest splits names at dots.
func nest[V any](metrics map[string]V) Tree {
	root := Tree{}
	// In order, a name comes before the longer ones that begin with it.
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		labels := strings.Split(name, ".")
		node := root
		for _, label := range labels[:len(labels)-1] {
			inner, ok := node[label].(Tree)
			if !ok {
				inner = Tree{}
				node[label] = inner
			}
			node = inner
		}
		node[labels[len(labels)-1]] = metrics[name]
	}
	return root
}
