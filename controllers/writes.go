package controllers

import (
	"fmt"
	"time"
)

// tooManyWritesError puts a write off.
type tooManyWritesError struct{}

func (*tooManyWritesError) Error() string {
	return fmt.Sprintf("the operator has written the objects of this app %d times within a minute, because another client changes them after each write; "+
		"it goes on within %s", writeBurst+time.Minute/writeInterval, writeInterval)
}

// waitForWrite is how long the app has to wait until it may write, 0 if it may now. The reserve is left to more important writes.
func (s *appState) waitForWrite(now time.Time, reserve int) time.Duration {
	missing := float64(1+reserve) - s.writes.TokensAt(now)
	return max(0, time.Duration(missing*float64(writeInterval)))
}

// countWrite refuses a write beyond the bound.
func (s *appState) countWrite(now time.Time, reserve int) error {
	if s.waitForWrite(now, reserve) > 0 || !s.writes.AllowN(now, 1) {
		return &tooManyWritesError{}
	}
	return nil
}
