package conf
