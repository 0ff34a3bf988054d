module shutdown

go 1.19
