# Reference values for pooling, from metafor and lme4 on networks made here.
#   apt-get install r-base-core r-cran-metafor r-cran-lme4
#   Rscript tests/aggregate/reference.R > tests/aggregate/reference.json
# metafor's root finders stop early by default (REML at a change of 1e-5, Paule-Mandel and the
# Q-profile at uniroot's 1e-4 or so); all tolerances are tightened here.
suppressPackageStartupMessages({library(metafor); library(lme4)})

num <- function(x) ifelse(is.na(x), "null", sprintf("%.17g", x))
arr <- function(x) paste0("[", paste(num(x), collapse = ","), "]")
obj <- function(l) paste0("{", paste(sprintf("\"%s\":%s", names(l), unlist(l)), collapse = ","), "}")
tight <- list(threshold = 1e-13, maxiter = 100000, tol = 1e-15)

network <- function(seed, k, tau, low, high) {
  set.seed(seed)
  v <- exp(runif(k, log(low), log(high)))
  list(y = rnorm(k, 0.8, sqrt(tau^2 + v)), v = v, x = round(rnorm(k, 60, 8), 1))
}
networks <- list(
  three = network(1, 3, .3, .02, .1), four = network(2, 4, .2, .01, .2), five = network(3, 5, 0, .05, .1),
  eight = network(4, 8, .5, .01, .05), uneven = network(5, 10, .3, 1e-5, 2), fifteen = network(6, 15, .25, .01, .12),
  tight = network(7, 15, .02, .02, .05), twenty = network(8, 20, .15, .005, .3), forty = network(9, 40, .4, .01, .3),
  sixty = network(10, 60, .2, .01, .2))
networks$under <- list(y = c(.50, .51, .49, .50, .52, .48), v = rep(.04, 6), x = c(1, 2, 3, 4, 5, 7))
networks$two <- list(y = c(.2, .9), v = c(.03, .05), x = c(1, 2))

fit <- function(n, method, test) {
  m <- rma(n$y, n$v, method = method, test = test, control = tight)
  p <- if (m$k > 2) c(m$b) + c(-1, 1) * qt(.975, m$k - 2) * sqrt(m$tau2 + m$se^2)
  out <- list(mu = num(c(m$b)), se = num(m$se), ci = arr(c(m$ci.lb, m$ci.ub)), tau2 = num(m$tau2),
              i2 = num(m$I2), q = num(m$QE), q_p = num(m$QEp))
  if (m$k > 2 && method != "FE") out$prediction <- arr(p)
  obj(out)
}
profile <- function(n) {
  q <- confint(rma(n$y, n$v, control = tight), control = list(tol = 1e-13, tau2.max = 1e5))$random
  obj(list(tau2 = arr(q["tau^2", 2:3]), i2 = arr(q["I^2(%)", 2:3])))
}
without <- function(n) {
  l <- leave1out(rma(n$y, n$v, test = "adhoc", control = tight))
  obj(list(mu = arr(l$estimate), lo = arr(l$ci.lb), hi = arr(l$ci.ub), tau2 = arr(l$tau2), i2 = arr(l$I2)))
}
line <- function(n, test) {
  m <- rma(n$y, n$v, mods = ~ n$x, test = test, control = tight)
  obj(list(beta = arr(c(m$b)), se = arr(m$se), lo = arr(m$ci.lb), hi = arr(m$ci.ub), p = arr(m$pval),
           tau2 = num(m$tau2), i2 = num(m$I2), qe = num(m$QE), qe_p = num(m$QEp),
           r2 = num(if (is.null(m$R2)) NA else m$R2)))
}
tests <- c(z = "z", hk = "knha", "hk-truncated" = "adhoc")
meta <- lapply(networks, function(n) {
  fits <- list()
  for (m in c("REML", "DL", "PM", "FE")) for (t in names(tests)) fits[[paste(m, t)]] <- fit(n, m, tests[[t]])
  out <- list(y = arr(n$y), v = arr(n$v), x = arr(n$x), fits = obj(fits))
  out$profile <- profile(n)
  if (length(n$y) > 3) {
    out$without <- without(n)
    out$lines <- obj(lapply(tests, function(t) line(n, t)))
  }
  obj(out)
})

accuracy <- function(seed, k, mu, tau, rho, size) {
  set.seed(seed)
  m <- ceiling(exp(runif(k, log(size[1]), log(size[2])))); n <- 3 * m
  z <- matrix(rnorm(2 * k), k)
  u <- cbind(tau[1] * z[, 1], tau[2] * (rho * z[, 1] + sqrt(1 - rho^2) * z[, 2]))
  tp <- rbinom(k, m, plogis(mu[1] + u[, 1])); tn <- rbinom(k, n, plogis(mu[2] + u[, 2]))
  data.frame(tp = tp, fp = n - tn, fn = m - tp, tn = tn)
}
counts <- list(
  six = accuracy(21, 6, c(1.2, 1.6), c(.6, .5), -.4, c(30, 120)),
  fifteen = accuracy(22, 15, c(1.5, 2), c(.5, .7), -.3, c(40, 300)),
  zeros = accuracy(23, 12, c(2.5, 3), c(.8, .9), .2, c(8, 40)),
  large = accuracy(24, 30, c(.8, 1.1), c(.4, .3), -.5, c(100, 2000)),
  forty = accuracy(25, 40, c(1.8, 2.4), c(.7, .5), .4, c(15, 90)))
opt <- glmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e6, rhoend = 1e-9), tolPwrss = 1e-12,
                    check.conv.grad = "ignore", check.conv.singular = "ignore", check.conv.hess = "ignore")
two <- function(d) {
  k <- nrow(d)
  l <- data.frame(site = factor(rep(1:k, 2)), sens = rep(1:0, each = k), spec = rep(0:1, each = k),
                  yes = c(d$tp, d$tn), no = c(d$fn, d$fp))
  m <- glmer(cbind(yes, no) ~ 0 + sens + spec + (0 + sens + spec | site), l, binomial, control = opt)
  s <- as.data.frame(VarCorr(m))
  obj(list(mu = arr(fixef(m)), cov = arr(c(as.matrix(vcov(m)))), tau = arr(s$sdcor[1:2]), rho = num(s$sdcor[3])))
}
one <- function(yes, no, nodes) {
  l <- data.frame(site = factor(seq_along(yes)), yes = yes, no = no)
  m <- glmer(cbind(yes, no) ~ 1 + (1 | site), l, binomial, nAGQ = nodes, control = opt)
  obj(list(mu = num(fixef(m)), se = num(sqrt(vcov(m)[1, 1])), tau = num(as.data.frame(VarCorr(m))$sdcor)))
}
normal <- function(d) {
  k <- nrow(d); z <- (d$tp == 0 | d$fp == 0 | d$fn == 0 | d$tn == 0) * .5
  d <- d + z
  l <- data.frame(site = rep(1:k, each = 2), what = factor(rep(1:2, k)),
                  y = c(rbind(log(d$tp / d$fn), log(d$tn / d$fp))), v = c(rbind(1 / d$tp + 1 / d$fn, 1 / d$tn + 1 / d$fp)))
  m <- tryCatch(
    rma.mv(y, v, mods = ~ what - 1, random = ~ what | site, struct = "UN", data = l,
           control = list(optimizer = "nlminb", rel.tol = 1e-10, eval.max = 5000, iter.max = 5000)),
    error = function(e) NULL)
  if (is.null(m)) return("null")  # the correlation runs to its limit
  obj(list(mu = arr(c(m$b)), cov = arr(c(m$vb)), tau = arr(sqrt(m$tau2)), rho = num(m$rho)))
}
glmm <- lapply(counts, function(d) obj(list(
  tp = arr(d$tp), fp = arr(d$fp), fn = arr(d$fn), tn = arr(d$tn), binomial = two(d), normal = normal(d),
  sens15 = one(d$tp, d$fn, 15), spec15 = one(d$tn, d$fp, 15))))

cat(obj(list(
  made = sprintf("\"%s; metafor %s; lme4 %s\"", R.version.string, packageVersion("metafor"), packageVersion("lme4")),
  meta = obj(meta), accuracy = obj(glmm))), "\n", sep = "")
