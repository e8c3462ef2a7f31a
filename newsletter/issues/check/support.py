"""Which clients lack what: facts measured by caniemail.com, reduced to what letters could use.

One line a feature: `kind:name client=no|partial …`.  A client is as good as its
worst edition (Gmail's is the app with another provider's account); what all of
them support is left out.  The facts are by the authors of Can I email (MIT).
"""

from typing import Final

#: The day of the facts.
FACTS_OF: Final = "2026-05-13"

CLIENTS: Final = {
    "apple": "Apple Mail",
    "gmail": "Gmail",
    "outlook-windows": "Outlook for Windows (classic)",
    "outlook": "Outlook",
    "yahoo": "Yahoo and AOL",
    "samsung": "Samsung Email",
    "thunderbird": "Thunderbird",
    "proton": "Proton Mail",
    "gmx": "GMX and WEB.DE",
}

LACKS: Final = """
css:accent-color gmail=no outlook-windows=no outlook=no yahoo=no proton=no
css:align-items gmail=no outlook-windows=no yahoo=no gmx=no
css:animation gmail=no outlook-windows=no outlook=no yahoo=no thunderbird=no proton=no gmx=no
css:aspect-ratio gmail=no outlook-windows=no outlook=no yahoo=no samsung=no thunderbird=no gmx=no
css:at-font-face gmail=no outlook-windows=partial outlook=no yahoo=no proton=no gmx=no
css:at-import gmail=no outlook=no yahoo=no samsung=no thunderbird=no proton=no gmx=no
css:at-keyframes gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
css:at-media gmail=no outlook-windows=no outlook=partial yahoo=partial samsung=partial thunderbird=no proton=partial
css:at-media-device-pixel-ratio gmail=no outlook-windows=no yahoo=no thunderbird=no proton=no gmx=no
css:at-media-hover gmail=no outlook-windows=no yahoo=no
css:at-media-orientation apple=partial gmail=no outlook-windows=no yahoo=no thunderbird=no proton=no
css:at-media-prefers-color-scheme gmail=no outlook-windows=no yahoo=no thunderbird=no proton=no gmx=no
css:at-media-prefers-reduced-motion gmail=no outlook-windows=no yahoo=no thunderbird=no proton=partial gmx=no
css:at-supports gmail=no outlook-windows=no outlook=no thunderbird=no proton=no gmx=no
css:backdrop-filter gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:background outlook-windows=partial yahoo=partial gmx=partial
css:background-blend-mode gmail=no outlook-windows=no yahoo=no gmx=no
css:background-clip gmail=no outlook-windows=no yahoo=no gmx=no
css:background-color gmx=partial
css:background-image outlook-windows=no yahoo=partial gmx=partial
css:background-origin gmail=no outlook-windows=no yahoo=no gmx=no
css:background-position outlook-windows=no gmx=partial
css:background-repeat outlook-windows=no gmx=partial
css:background-size gmail=no outlook-windows=no gmx=no
css:block-inline-size gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:border outlook-windows=partial
css:border-image gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:border-inline-block gmail=no outlook-windows=no outlook=no yahoo=no samsung=no gmx=no
css:border-inline-block-individual gmail=no outlook-windows=no outlook=no yahoo=no samsung=partial gmx=no
css:border-inline-block-longhand gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:border-radius outlook-windows=no yahoo=partial gmx=no
css:border-radius-logical gmail=no outlook-windows=no outlook=no yahoo=no samsung=no
css:border-spacing outlook-windows=no outlook=no
css:box-shadow gmail=no outlook-windows=no yahoo=no gmx=no
css:box-sizing gmail=no outlook-windows=no yahoo=no
css:caption-side outlook-windows=no
css:clear gmail=partial outlook-windows=no outlook=partial yahoo=partial gmx=partial
css:clip-path gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:color-scheme gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
css:column-count gmail=no outlook-windows=no yahoo=no gmx=no
css:column-layout-properties outlook-windows=no yahoo=no
css:comments gmail=partial yahoo=partial gmx=no
css:conic-gradient gmail=no outlook-windows=no outlook=no yahoo=no samsung=partial
css:cursor apple=no gmail=no outlook=no yahoo=no proton=partial gmx=no
css:direction gmail=partial
css:display gmail=partial outlook-windows=partial yahoo=partial gmx=partial
css:display-flex gmail=partial outlook-windows=no gmx=no
css:display-grid gmail=partial outlook-windows=no gmx=no
css:display-none gmail=no outlook-windows=partial
css:empty-cells outlook-windows=no yahoo=no
css:filter gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:flex-direction gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:flex-wrap gmail=no outlook-windows=no yahoo=no gmx=no
css:float gmail=partial outlook-windows=no yahoo=partial gmx=partial
css:font-kerning outlook-windows=no yahoo=no gmx=no
css:font-size outlook-windows=partial yahoo=partial samsung=partial gmx=partial
css:font-size-adjust gmail=partial outlook-windows=no yahoo=partial gmx=partial
css:font-stretch gmail=no outlook-windows=no outlook=no yahoo=no samsung=no
css:font-weight outlook-windows=partial yahoo=partial
css:function-clamp gmail=partial outlook-windows=no outlook=no yahoo=no samsung=partial gmx=no
css:function-light-dark gmail=no outlook-windows=no outlook=no yahoo=no samsung=partial proton=partial gmx=no
css:function-max gmail=partial outlook-windows=no outlook=no yahoo=no samsung=partial gmx=no
css:function-min gmail=partial outlook-windows=no outlook=no yahoo=no samsung=partial gmx=no
css:gap gmail=no outlook-windows=no outlook=partial yahoo=no gmx=no
css:grid-template gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:height outlook-windows=partial yahoo=no
css:hyphenate-character gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:hyphenate-limit-chars apple=no gmail=no outlook-windows=no outlook=no yahoo=no samsung=no thunderbird=no gmx=no
css:hyphens gmail=no outlook-windows=no outlook=no yahoo=no
css:important gmail=partial outlook-windows=partial yahoo=partial proton=partial gmx=no
css:inert-attribute gmail=no outlook-windows=no outlook=no yahoo=no
css:inline-size apple=no gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:inset gmail=no outlook-windows=no outlook=no yahoo=no samsung=no gmx=no
css:intrinsic-size gmail=partial outlook-windows=no outlook=partial yahoo=no samsung=no
css:justify-content gmail=no outlook-windows=no yahoo=no gmx=no
css:left-right-top-bottom gmail=no outlook-windows=no yahoo=no samsung=partial
css:letter-spacing outlook-windows=partial
css:line-height outlook-windows=partial
css:linear-gradient gmail=partial outlook-windows=no outlook=no yahoo=no samsung=partial gmx=no
css:list-style gmail=partial outlook-windows=partial outlook=partial yahoo=partial proton=no
css:list-style-image gmail=no outlook-windows=no outlook=no yahoo=no proton=no
css:list-style-position outlook-windows=no
css:margin gmail=partial outlook-windows=partial outlook=partial yahoo=partial
css:margin-block-start-end gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:margin-inline-block gmail=no outlook-windows=no outlook=no yahoo=no samsung=no gmx=no
css:margin-inline-start-end gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:mask-image gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:max-block-size gmail=no outlook-windows=no outlook=no yahoo=no
css:max-height outlook-windows=no
css:max-inline-size gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:max-width outlook-windows=partial
css:min-block-size gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:min-height outlook-windows=no proton=no
css:min-inline-size gmail=no outlook-windows=no outlook=no yahoo=no
css:min-width outlook-windows=no
css:mix-blend-mode gmail=no outlook-windows=no yahoo=no gmx=no
css:modern-color gmail=no outlook-windows=no outlook=no yahoo=no samsung=no thunderbird=no proton=no
css:nesting apple=partial gmail=no outlook-windows=no outlook=no yahoo=no samsung=partial proton=partial
css:object-fit gmail=no outlook-windows=no yahoo=no gmx=no
css:object-position gmail=no outlook-windows=no yahoo=no gmx=no
css:opacity gmail=no outlook-windows=no yahoo=no gmx=no
css:orphans gmail=no outlook-windows=no yahoo=no gmx=no
css:outline outlook-windows=no
css:outline-offset gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:overflow apple=partial gmail=partial outlook-windows=no outlook=partial yahoo=partial samsung=partial proton=partial gmx=partial
css:overflow-wrap apple=partial gmail=no outlook-windows=no outlook=no yahoo=no
css:padding outlook-windows=partial
css:padding-block-start-end gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:padding-inline-block gmail=no outlook-windows=no outlook=no yahoo=no samsung=no gmx=no
css:padding-inline-start-end gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:position apple=partial gmail=no outlook-windows=no outlook=no yahoo=partial samsung=partial
css:pseudo-class-active apple=no gmail=no outlook-windows=no outlook=no yahoo=no samsung=no
css:pseudo-class-checked gmail=no outlook-windows=no outlook=partial proton=no gmx=no
css:pseudo-class-default gmail=no outlook-windows=no outlook=partial proton=no gmx=no
css:pseudo-class-first-child gmail=no outlook-windows=no outlook=partial proton=no
css:pseudo-class-first-of-type gmail=no outlook-windows=no outlook=partial proton=no gmx=no
css:pseudo-class-focus apple=no gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:pseudo-class-focus-visible gmail=no outlook-windows=no outlook=partial
css:pseudo-class-focus-within gmail=no outlook-windows=no outlook=no
css:pseudo-class-has gmail=no outlook-windows=no outlook=no yahoo=no thunderbird=no proton=no gmx=no
css:pseudo-class-hover gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:pseudo-class-lang gmail=no outlook-windows=no outlook=no yahoo=no
css:pseudo-class-last-child gmail=no outlook-windows=no outlook=partial proton=no
css:pseudo-class-last-of-type gmail=no outlook-windows=no outlook=partial proton=no gmx=no
css:pseudo-class-link gmail=no outlook=partial proton=no
css:pseudo-class-not gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
css:pseudo-class-nth-child gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
css:pseudo-class-nth-last-child gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
css:pseudo-class-nth-last-of-type gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
css:pseudo-class-nth-of-type gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
css:pseudo-class-only-child gmail=no outlook-windows=no outlook=partial proton=no
css:pseudo-class-only-of-type gmail=no outlook-windows=no outlook=partial proton=no
css:pseudo-class-target apple=no gmail=no outlook-windows=no outlook=partial yahoo=no proton=no gmx=no
css:pseudo-class-visited apple=no gmail=no outlook-windows=no outlook=partial yahoo=no samsung=no proton=no gmx=no
css:pseudo-element-after gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
css:pseudo-element-before gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
css:pseudo-element-first-letter gmail=no outlook-windows=no outlook=no proton=no
css:pseudo-element-first-line gmail=no outlook-windows=no outlook=no proton=no
css:pseudo-element-marker gmail=no outlook-windows=no outlook=no proton=no
css:pseudo-element-placeholder gmail=no outlook-windows=no outlook=no proton=no gmx=no
css:radial-gradient gmail=partial outlook-windows=no outlook=no yahoo=no gmx=no
css:resize apple=no gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
css:rgb gmail=partial outlook-windows=partial yahoo=partial gmx=partial
css:rgba gmail=partial outlook-windows=no yahoo=partial gmx=no
css:scroll-snap gmail=no outlook-windows=no outlook=no yahoo=no
css:shape-margin gmail=no outlook-windows=no outlook=no yahoo=no
css:shape-outside gmail=no outlook-windows=no outlook=no yahoo=no
css:sytem-ui gmail=partial outlook-windows=no outlook=partial yahoo=partial samsung=partial thunderbird=partial proton=partial
css:tab-size gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:table-layout outlook-windows=no outlook=no
css:text-align gmail=partial outlook-windows=partial outlook=partial yahoo=partial samsung=partial gmx=partial
css:text-align-last outlook-windows=no outlook=no yahoo=no
css:text-decoration gmail=partial outlook-windows=partial proton=no gmx=partial
css:text-decoration-color gmail=no outlook-windows=no gmx=no
css:text-decoration-line outlook-windows=no yahoo=no gmx=no
css:text-decoration-skip-ink gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:text-decoration-style outlook-windows=no yahoo=no gmx=no
css:text-decoration-thickness gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:text-emphasis gmail=no outlook-windows=no outlook=no yahoo=no samsung=no gmx=no
css:text-emphasis-position gmail=no outlook-windows=no outlook=no yahoo=no samsung=no gmx=no
css:text-indent gmail=partial yahoo=partial proton=partial
css:text-justify apple=no gmail=no outlook-windows=partial outlook=no yahoo=no samsung=no proton=no gmx=no
css:text-orientation outlook-windows=no yahoo=no gmx=no
css:text-overflow gmail=partial outlook-windows=no yahoo=no samsung=no gmx=no
css:text-shadow gmail=no outlook-windows=no outlook=no
css:text-transform outlook-windows=partial
css:text-underline-offset gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:text-underline-position apple=partial gmail=partial outlook-windows=no outlook=no yahoo=no gmx=no
css:text-wrap gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:transform gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:transition gmail=no outlook-windows=no outlook=no yahoo=partial samsung=partial proton=no
css:unit-calc gmail=partial outlook-windows=no outlook=no yahoo=no gmx=no
css:unit-ch outlook-windows=no yahoo=no gmx=no
css:unit-initial gmail=partial outlook-windows=no yahoo=no gmx=no
css:unit-rem outlook-windows=no yahoo=no gmx=no
css:unit-vh apple=partial outlook-windows=no gmx=no
css:unit-vmax outlook-windows=no yahoo=no gmx=no
css:unit-vmin outlook-windows=no yahoo=no gmx=no
css:unit-vw outlook-windows=no gmx=no
css:user-select apple=partial gmail=no outlook-windows=no outlook=no yahoo=no proton=partial gmx=no
css:variables gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
css:visibility gmail=no outlook-windows=no yahoo=no
css:white-space gmail=partial outlook-windows=no yahoo=partial samsung=no gmx=partial
css:white-space-collapse gmail=no outlook-windows=no outlook=no yahoo=no
css:widows gmail=no outlook-windows=no yahoo=no gmx=no
css:width outlook-windows=partial
css:word-break apple=partial gmail=partial outlook=partial yahoo=no samsung=partial proton=partial gmx=no
css:word-spacing outlook-windows=no yahoo=no gmx=partial
css:word-wrap gmail=partial outlook-windows=no outlook=no
css:writing-mode gmail=partial outlook-windows=no yahoo=no gmx=no
css:z-index gmail=no outlook-windows=no
html:abbr outlook-windows=no yahoo=no
html:acronym outlook-windows=no yahoo=no
html:address gmx=no
html:align outlook=partial proton=partial
html:anchor-links gmail=no yahoo=no samsung=no proton=no gmx=no
html:aria-describedby gmail=no outlook-windows=no yahoo=no thunderbird=no gmx=no
html:aria-hidden yahoo=no thunderbird=no gmx=no
html:aria-label yahoo=no thunderbird=no gmx=no
html:aria-labelledby gmail=no outlook-windows=no outlook=no yahoo=no thunderbird=no gmx=no
html:aria-live outlook-windows=partial outlook=no yahoo=no thunderbird=no gmx=no
html:audio gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
html:background gmail=partial outlook-windows=partial
html:base gmail=partial outlook=no yahoo=partial proton=no gmx=no
html:bdi gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
html:dfn outlook-windows=partial
html:dialog gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
html:dir gmail=partial outlook-windows=partial gmx=no
html:form gmail=partial outlook-windows=no outlook=partial yahoo=no proton=no gmx=no
html:height outlook-windows=partial
html:hidden gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
html:image-maps yahoo=no proton=no
html:lang yahoo=partial gmx=no
html:link gmail=no outlook=no yahoo=no samsung=no thunderbird=no proton=no gmx=no
html:lists gmail=partial outlook-windows=partial outlook=partial yahoo=partial
html:loading-attribute gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
html:mailto-links yahoo=partial proton=partial
html:marquee gmail=no outlook-windows=no outlook=partial yahoo=partial proton=partial gmx=no
html:meta-color-scheme apple=no gmail=no outlook-windows=no outlook=no yahoo=no samsung=no proton=no gmx=no
html:meter gmail=no outlook-windows=no yahoo=no gmx=no
html:object apple=partial gmail=no outlook-windows=no outlook=no yahoo=no samsung=partial thunderbird=partial proton=no gmx=no
html:picture apple=partial gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
html:popover gmail=no outlook-windows=no outlook=no yahoo=no samsung=partial thunderbird=no proton=no
html:progress gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
html:required gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
html:role yahoo=partial gmx=no
html:rp gmail=no outlook-windows=no gmx=no
html:rt gmail=no outlook-windows=no gmx=no
html:ruby gmail=no outlook-windows=no gmx=no
html:select apple=partial gmail=partial outlook-windows=no yahoo=no thunderbird=partial gmx=no
html:semantics gmail=partial outlook-windows=no outlook=partial yahoo=no gmx=no
html:srcset gmail=no outlook-windows=no outlook=no yahoo=no proton=no gmx=no
html:strike gmail=partial
html:style gmail=no outlook-windows=partial proton=partial gmx=no
html:svg apple=partial gmail=no outlook-windows=no outlook=no yahoo=no gmx=no
html:target apple=partial gmail=no outlook-windows=partial outlook=no yahoo=no samsung=partial thunderbird=partial proton=no gmx=no
html:textarea outlook-windows=no outlook=no yahoo=no samsung=no thunderbird=partial proton=partial gmx=no
html:video apple=partial gmail=no outlook-windows=no outlook=no yahoo=no samsung=partial proton=no gmx=no
html:wbr gmail=no outlook-windows=no gmx=no
html:width outlook-windows=partial
image:apng gmail=no outlook-windows=no outlook=no
image:avif gmail=partial outlook-windows=no gmx=no
image:base64 gmail=no outlook-windows=partial gmx=partial
image:bmp gmail=partial gmx=no
image:gif outlook-windows=partial
image:hdr apple=no gmail=no outlook-windows=no outlook=no yahoo=no samsung=no thunderbird=no proton=no gmx=no
image:heif gmail=partial outlook-windows=no outlook=no yahoo=no samsung=no thunderbird=no proton=no gmx=no
image:ico outlook-windows=no
image:mp4 gmail=no outlook-windows=no outlook=no yahoo=no samsung=no thunderbird=no proton=no gmx=no
image:svg gmail=no
image:tiff gmail=partial outlook-windows=no outlook=no yahoo=no samsung=no thunderbird=no proton=no gmx=no
image:webp gmail=partial outlook-windows=no
"""
