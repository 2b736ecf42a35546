package main

import "testing"

// Profiles have no authentication, so only this machine may reach them.
func TestProfilesAreServedOnLoopbackOnly(t *testing.T) {
	for value, want := range map[string]bool{
		"127.0.0.1:6060": true, "[::1]:6060": true, "": true, "0": true,
		":6060": false, "0.0.0.0:6060": false, "10.0.0.1:6060": false, "[::]:6060": false, "localhost:6060": false, "127.0.0.1": false,
	} {
		address := loopbackAddress("")
		if err := address.Set(value); (err == nil) != want {
			t.Errorf("%q: error %v, want accepted %t", value, err, want)
		}
	}
}
