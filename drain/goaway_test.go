package drain

import (
	"bytes"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestHTTP2ClientGetsGoAwayAtTheDrainAndIsStillServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		c := p.openHTTP2()
		c.wantAnswer("before the drain", c.ask("/livez"))
		slow := c.ask("/?seconds=1")
		c.wantNothing("before the drain")
		drained := p.goGet("/drain")
		c.wantGoAway("at the drain", maxStream)
		c.wantAnswer("after the GOAWAY", c.ask("/?seconds=0"))
		c.wantAnswer("from before the drain", slow)
		last := c.ask("/?seconds=0")
		c.wantAnswer("idle for a while", last)
		<-drained
		c.wantNothing("idle at the end of t2: SIGTERM is still to come")

		p.client.CloseIdleConnections()
		p.term()
		c.wantGoAway("when the listener is closed", last)
		told := time.Now()
		c.wantEnd("after SIGTERM")
		if d := time.Since(told); d != time.Second {
			t.Errorf("server closed the connection %s after the GOAWAY, want 1s for the client to close it", d)
		}
		p.wantEnded()
	})
}

func TestHTTP2ClientDuringTheDrainGetsGoAwayWithItsFirstRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		silent := p.openHTTP2()
		synctest.Wait()
		drained := p.goGet("/drain")
		synctest.Wait()
		late := p.openHTTP2()
		for step, c := range map[string]*rawHTTP2{"opened before": silent, "opened after": late} {
			c.wantNothing(step + ", no request yet")
			stream := c.ask("/?seconds=1")
			c.wantGoAway(step+", first request", maxStream)
			c.wantAnswer(step, stream)
			c.wantAnswer(step+", again", c.ask("/livez"))
			c.wantNothing(step + ", told once")
		}
		<-drained
		_, _ = silent.conn.Close(), late.conn.Close()
		p.end()
	})
}

func TestHTTP2RequestInFlightFinishesAfterSigterm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		c := p.openHTTP2()
		slow := c.ask("/")
		synctest.Wait()
		p.client.CloseIdleConnections()
		p.term()
		c.wantGoAway("at SIGTERM, without a drain", maxStream)
		c.wantGoAway("when the listener is closed", slow)
		c.wantAnswer("in flight at SIGTERM", slow)
		c.wantEnd("after it")
		p.wantEnded()
	})
}

// recordingConn is a connection that keeps the bytes that are written to it.
type recordingConn struct {
	net.Conn
	bytes.Buffer
}

func (r *recordingConn) Write(p []byte) (int, error) { return r.Buffer.Write(p) }

func (r *recordingConn) Read(p []byte) (int, error) { return r.Buffer.Read(p) }

func TestGoAwayStandsBetweenFrames(t *testing.T) {
	settings := []byte{0, 0, 0, frameSettings, 0, 0, 0, 0, 0}
	data := []byte{0, 0, 3, frameData, 0, 0, 0, 0, 1, 'a', 'b', 'c'}
	headers := []byte{0, 0, 1, frameHeaders, 0, 0, 0, 0, 1, 0x88}
	rest := []byte{0, 0, 1, frameContinuation, flagEndHeaders, 0, 0, 0, 1, 0x88}
	own := []byte{0, 0, 8, frameGoAway, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, tc := range []struct {
		name   string
		before []byte // written before the drain begins
		after  []byte
		want   []byte
	}{
		{"at once between two frames", settings, data, join(settings, goAway, data)},
		{"not before the first frame", nil, settings, join(settings, goAway)},
		{"not within a frame's header", join(settings, data[:4]), data[4:], join(settings, data, goAway)},
		{"not within a frame's payload", join(settings, data[:10]), data[10:], join(settings, data, goAway)},
		{"not within a header block", join(settings, headers), rest, join(settings, headers, rest, goAway)},
		{"not after net/http's own", join(settings, own), data, join(settings, own, data)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w frameWriter
				to := &recordingConn{}
				for _, b := range tc.before { // one write for each byte
					_, _ = w.write(to, []byte{b})
				}
				w.sendGoAway(to)
				synctest.Wait()
				_, _ = w.write(to, tc.after)
				if !bytes.Equal(to.Bytes(), tc.want) {
					t.Errorf("wrote\n%v, want\n%v", to.Bytes(), tc.want)
				}
			})
		})
	}
}

func TestHTTP1MethodIsNotTakenForHTTP2(t *testing.T) {
	for begin, want := range map[string]bool{"PRI * HTTP/2.0": true, "PRINT / HTTP/1.1": false, "POST / HTTP/1.1": false, "GET / HTTP/1.1": false} {
		c := &conn{Conn: &recordingConn{Buffer: *bytes.NewBufferString(begin)}}
		for n := 0; n < len(begin); {
			k, err := c.Read(make([]byte, 1)) // as slowly as a client may send it
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
		if c.hasPreface() != want {
			t.Errorf("%q: taken for HTTP/2: %v, want %v", begin, !want, want)
		}
	}
}
