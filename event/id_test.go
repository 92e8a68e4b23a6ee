package event

import "testing"

func TestTraceSampled(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
	for flags, want := range map[string]bool{"01": true, "00": false, "0b": true, "0a": false, "03": true, "zz": false, "": false} {
		if TraceSampled(parent+flags) != want {
			t.Errorf("flags %q", flags)
		}
	}
}

func TestMessageID(t *testing.T) {
	want := MessageID{Producer: "syd-01", Epoch: 1764490000123, Stream: StreamMetrics, Sequence: 17}
	if got, ok := ParseMessageID(want.String()); !ok || got != want {
		t.Errorf("%s is read as %+v, %v", want, got, ok)
	}
	for _, s := range []string{"", "syd-01", "syd-01/1/METRICS", "syd-01/1/METRICS/", "/1/METRICS/1", "syd-01/0/METRICS/1", "syd-01/1/METRICS/0",
		"syd-01/1/OTHER/1", "syd-01/+1/METRICS/1", "syd-01/01/METRICS/1", "syd-01/1/METRICS/1/", "syd-01/1/METRICS/01", "syd-01/1/METRICS/9223372036854775808", "syd-01/-1/STATE/1"} {
		if got, ok := ParseMessageID(s); ok {
			t.Errorf("%q is read as %+v", s, got)
		}
	}
}
