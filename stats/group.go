package stats

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opbeans/loadgen/internal/textkit"
)

// checkGroup finds what is wrong with the label group of a threshold.
func (t *Threshold) checkGroup(m *metric) error {
	switch {
	case t.Task != "":
		return errors.New("a group is measured in whichever tasks it is: take one of the labels task and group")
	case m.kind != metricShare && (m.kind != metricTime || m.ofJob || strings.HasPrefix(m.name, "service.")):
		return fmt.Errorf("%s takes no label group: of a group there are min, mean, max, percentiles such as p99, and error_rate", t.Metric)
	case len(t.Group) > textkit.MaxNameLen:
		return fmt.Errorf("the name of the group must be at most %d bytes long", textkit.MaxNameLen)
	}
	return nil
}

// findGroup is what was measured of a group; nil if nothing.
func findGroup(groups []GroupSnapshot, name string) *GroupSnapshot {
	at := slices.IndexFunc(groups, func(g GroupSnapshot) bool { return g.Group == name })
	if at < 0 || groups[at].Count == 0 {
		return nil
	}
	return &groups[at]
}

// observeGroup is observe for a group.
func (m *metric) observeGroup(s *Snapshot, name string) observation {
	g := findGroup(s.Groups, name)
	if g == nil {
		return observation{}
	}
	if m.kind == metricTime {
		return m.time(&g.Time)
	}
	x := share(g.Failed, g.Count)
	return observation{value: x, low: x, samples: g.Count, known: true}
}

// unmeasured says that a group was not measured, and which were.
func unmeasured(name string, groups []GroupSnapshot) string {
	var names []string
	for i := range groups {
		if groups[i].Count > 0 {
			names = append(names, groups[i].Group)
		}
	}
	text := fmt.Sprintf("no group %q was measured", textkit.Shorten(name))
	switch {
	case len(names) == 0:
		return text + ", nor any other"
	case slices.Contains(names, OtherGroups):
		return text + fmt.Sprintf(" on its own: those beyond %d share the entry %q", MaxGroups, OtherGroups)
	}
	if hint := textkit.DidYouMean(name, names); hint != "" {
		return text + hint
	}
	const most = 10
	list := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		list += ", …"
	}
	return text + "; there were " + list
}
