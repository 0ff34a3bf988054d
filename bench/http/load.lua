-- What wrk sends, by its first argument: get, pipelined (16 a write), close, post (1 KiB), browser (eight header fields).
local browser = {
    ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ["Accept-Language"] = "en-US,en;q=0.5",
    ["Accept-Encoding"] = "gzip, deflate, br, zstd",
    ["Referer"] = "http://127.0.0.1/index.html",
    ["Cookie"] = "session=0123456789abcdef0123456789abcdef; theme=dark",
    ["Upgrade-Insecure-Requests"] = "1",
}

function init(arguments)
    local mode = arguments[1] or "get"
    if mode == "post" then
        sent = wrk.format("POST", "/echo", nil, string.rep("x", 1024))
    elseif mode == "close" then
        sent = wrk.format("GET", "/", { ["Connection"] = "close" })
    elseif mode == "browser" then
        sent = wrk.format("GET", "/", browser)  -- Host is the eighth
    elseif mode == "pipelined" then
        sent = string.rep(wrk.format("GET", "/"), 16)
    else
        sent = wrk.format("GET", "/")
    end
end

function request() return sent end
