module github.com/gracefulapp/gracefulapp/drain

go 1.26.0
